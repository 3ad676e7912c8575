using System.Runtime.CompilerServices;
using Mirror.Tests.Peers;

namespace Mirror.Tests.Parsing;

/// <summary>A parser of what a client, an upstream, a store, Redis or the operator sends.</summary>
/// <param name="Inputs">Inputs that lead into it. There are more in the folder <c>Corpus</c>.</param>
/// <param name="Parse">
/// Reads an input. It returns where the parser refuses the input in the way that its callers know; any other exception is a fault.
/// </param>
/// <param name="IsSlow">Whether it writes files or uses connections.</param>
/// <param name="IsRepeated">Whether a library repeats its calls, with pauses.</param>
internal sealed record Parser(string[] Inputs, Action<ParserPlace, string> Parse, bool IsSlow = false, bool IsRepeated = false)
{
    /// <summary>Every parser by its name.</summary>
    public static IReadOnlyDictionary<string, Parser> All { get; } = new SortedDictionary<string, Parser>(
        RequestParsers.Rows.Concat(TokenParsers.Rows).Concat(UpstreamParsers.Rows).Concat(StoreParsers.Rows).Concat(BucketParsers.Rows)
            .Concat(SettingsParsers.Rows).ToDictionary(), StringComparer.Ordinal);

    /// <summary>The inputs that the table and the folder <c>Corpus</c> have for a parser.</summary>
    public static IEnumerable<string> InputsOf(string name) => All[name].Inputs.Concat(
        Directory.Exists(CorpusOf(name))
            ? Directory.EnumerateFiles(CorpusOf(name)).Order(StringComparer.Ordinal).Select(file => FuzzText.Of(File.ReadAllBytes(file)))
            : []);

    /// <summary>The folder of a parser's inputs, in the sources.</summary>
    public static string CorpusOf(string name, [CallerFilePath] string thisFile = "") =>
        Path.Combine(Path.GetDirectoryName(thisFile)!, "Corpus", name);

    /// <summary>Passes over the exception by which a parser refuses.</summary>
    public static void Refused<T>(Action parse) where T : Exception
    {
        try
        {
            parse();
        }
        catch (T)
        {
            // In the way that callers know.
        }
    }

    /// <inheritdoc cref="Refused{T}(Action)"/>
    public static void Refused<T>(Func<Task> parse) where T : Exception => Refused<T>(() => parse().GetAwaiter().GetResult());
}

/// <summary>The folder and the server from which some parsers read.</summary>
internal sealed class ParserPlace : IDisposable
{
    private AnswerServer? _server;

    public TempFolder Folder { get; } = new();

    public AnswerServer Server => _server ??= new();

    /// <summary>The path of a file with this text.</summary>
    public string Write(string name, string text)
    {
        File.WriteAllBytes(Folder[name], FuzzText.Bytes(text));
        return Folder[name];
    }

    public void Dispose()
    {
        _server?.Dispose();
        Folder.Dispose();
    }
}
