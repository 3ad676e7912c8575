using System.Globalization;
using Mirror.Tests.Resilience;
using Xunit;

namespace Mirror.Tests.Parsing;

/// <summary>
/// Each parser of what a client, an upstream, a store or Redis sends gets its known inputs, and then changed ones. It may refuse them in
/// the way that its callers know; any other exception is a fault, and so is a hang.
/// </summary>
public sealed class FuzzTests : IDisposable
{
    private readonly ParserPlace _place = new();

    public static TheoryData<string> All => [.. Parser.All.Keys];

    public void Dispose() => _place.Dispose();

    [Theory]
    [MemberData(nameof(All))]
    public void A_parser_reads_or_refuses_whatever_it_gets(string name)
    {
        var parser = Parser.All[name];
        var random = Figures.Random(name.Length * 7919);
        List<string> inputs = [.. Parser.InputsOf(name)];
        var known = inputs.Count;
        foreach (var input in inputs)
            Try(input);
        var count = parser.IsRepeated ? Figures.Count(0, 1000)
            : parser.IsSlow ? Figures.Count(50, 20_000)
            : Figures.Count(3_000, 2_000_000);
        // What was made of an input may be changed again.
        for (var i = 0; i < count; i++)
        {
            var input = FuzzText.Changed(inputs[random.Next(inputs.Count)], random);
            Try(input);
            if (input.Length < 2000 && inputs.Count < known + 500)
                inputs.Add(input);
            else if (input.Length < 2000)
                inputs[known + random.Next(inputs.Count - known)] = input;
        }
        Figures.Report(string.Create(CultureInfo.InvariantCulture, $"{name}: {count} changed inputs, 0 faults"));

        void Try(string input)
        {
            try
            {
                parser.Parse(_place, input);
            }
            catch (Exception fault)
            {
                var shown = Uri.EscapeDataString(FuzzText.Of(FuzzText.Bytes(input)).Replace('\ud800', '?'));
                Assert.Fail($"{name}: {fault.GetType().Name} for '{shown}': {fault}");
            }
        }
    }
}
