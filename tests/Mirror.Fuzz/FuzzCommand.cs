using System.Globalization;
using Mirror.Tests.Parsing;
using SharpFuzz;

namespace Mirror.Fuzz;

/// <summary>What <c>tests/fuzz.sh</c> asks of this program.</summary>
internal static class FuzzCommand
{
    private const string Usage = """
        Mirror.Fuzz list                      prints the names of the parsers
        Mirror.Fuzz dictionary                prints a dictionary for afl-fuzz
        Mirror.Fuzz known [PARSER...]         gives these parsers, or all, their known inputs, and shows the faults
        Mirror.Fuzz coverage FOLDER PARSER... shows how many branches these take, from the reports in a folder
        Mirror.Fuzz PARSER                    reads inputs from afl-fuzz
        Mirror.Fuzz PARSER --inputs FOLDER    writes the known inputs of a parser into a folder
        Mirror.Fuzz PARSER --run FILE...      gives a parser these inputs, and shows the first fault
        Mirror.Fuzz PARSER --smallest FROM TO copies the smallest set of inputs with all edges of a folder
        """;

    public static int Run(string[] args)
    {
        if (args is ["list"])
            foreach (var name in Parser.All.Keys)
                Console.WriteLine(name);
        else if (args is ["dictionary"])
            foreach (var piece in FuzzText.Pieces.Where(piece => piece.Length > 0))
                Console.WriteLine($"\"{string.Concat(FuzzText.Bytes(piece).Select(Quoted))}\"");
        else if (args is ["known", .. var some])
            foreach (var name in some is [] ? Parser.All.Keys : some)
                RunAll(Parse(name), Parser.InputsOf(name).Select(input => (name, input)));
        else if (args is ["coverage", var reports, .. var measured])
            return Coverage.Print(reports, measured) ? 0 : 1;
        else if (args is [var fuzzed])
            Fuzz(Parse(fuzzed));
        else if (args is [var listed, "--inputs", var folder])
            foreach (var (i, input) in InputsOf(listed).Where(input => input.Length > 0).Index())
                File.WriteAllBytes(Path.Combine(folder, i.ToString("D4", CultureInfo.InvariantCulture)), FuzzText.Bytes(input));
        else if (args is [var run, "--run", .. var files])
            RunAll(Parse(run), files.Select(file => (file, FuzzText.Of(File.ReadAllBytes(file)))));
        else if (args is [var reduced, "--smallest", var from, var to])
            Console.WriteLine(SmallestSet.Copy(Parse(reduced), from, to));
        else
        {
            Console.Error.WriteLine(Usage);
            return 2;
        }
        return 0;
    }

    private static Action<string> Parse(string name)
    {
        if (name == PlantedFault.Name)
            return PlantedFault.Parse;
        var place = new ParserPlace();
        var parse = Parser.All[name].Parse;
        return text => parse(place, text);
    }

    private static void Fuzz(Action<string> parse)
    {
        Fuzzer.OutOfProcess.Run(stream =>
        {
            using var bytes = new MemoryStream();
            stream.CopyTo(bytes);
            parse(FuzzText.Of(bytes.GetBuffer().AsSpan(0, (int)bytes.Length)));
        });
    }

    private static IEnumerable<string> InputsOf(string name) => name == PlantedFault.Name ? ["a"] : Parser.InputsOf(name);

    private static void RunAll(Action<string> parse, IEnumerable<(string Name, string Text)> inputs)
    {
        foreach (var (name, text) in inputs)
            try
            {
                parse(text);
            }
            catch (Exception fault)
            {
                Console.WriteLine($"{name}: {fault}");
            }
    }

    private static string Quoted(byte value) =>
        value is >= (byte)' ' and <= (byte)'~' and not ((byte)'"' or (byte)'\\') ? ((char)value).ToString() : $"\\x{value:x2}";
}
