using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Reading;

/// <summary>Reads YAML text as a tree of nodes, with merge keys (<c>&lt;&lt;</c>) applied.</summary>
internal static partial class YamlText
{
    private static readonly YamlScalarNode MergeKey = new("<<");

    /// <summary>The root of the first document; an empty scalar if the document is empty.</summary>
    /// <exception cref="YamlException">The text is not YAML; the exception names the line and column.</exception>
    public static YamlNode Parse(string text) => Parse(text, new Findings());

    /// <inheritdoc cref="Parse(string)"/>
    /// <param name="findings">Gets a warning for each list that stands twice: the two are taken as one.</param>
    public static YamlNode Parse(string text, Findings findings)
    {
        var yaml = new YamlStream();
        using var reader = new StringReader(text);
        try
        {
            yaml.Load(new RepeatedKeys(new EarlierAnchors(new Parser(reader))));
        }
        catch (Exception confused) when (confused is InvalidOperationException or ArgumentException)
        {
            // The parser loses its way in lists of lists that are not closed, and in keys that are empty or references.
            throw new YamlException(
                Mark.Empty, Mark.Empty, "A bracket is not closed, a key stands in a list, or a key is empty.", confused);
        }
        // What another document says would be ignored, such as who may log in.
        if (yaml.Documents.Skip(1).Select(document => document.RootNode)
            .FirstOrDefault(root => root is not YamlScalarNode { Value: null or "" }) is { } second)
            throw new YamlException(
                second.Start, second.End,
                "A second document begins here, after a line ---. Write all settings into one document: remove that line.");
        var root = yaml.Documents.Count > 0 ? yaml.Documents[0].RootNode : new YamlScalarNode();
        Merge(root, new HashSet<YamlNode>(ReferenceEqualityComparer.Instance), findings);
        return root;
    }

    /// <summary>The tree as text.</summary>
    public static string Write(YamlNode root)
    {
        using var text = new StringWriter();
        new YamlStream(new YamlDocument(root)).Save(text, assignAnchors: false);
        // The end of the document is marked by "...".
        return text.ToString().Replace("...\n", "", StringComparison.Ordinal);
    }

    /// <summary>What is wrong with a text that <see cref="Parse(string)"/> did not read, and where.</summary>
    public static string Explain(string text, YamlException failure)
    {
        var lines = text.Split('\n');
        return TabIn(lines, failure) is { } tab ? $"line {tab}: it is indented with a tab, and YAML allows spaces only"
            : UnquotedIn(lines, failure) is var (line, sign)
                ? $"line {line}: put the text that begins with {sign} in quotes; without them, {sign} has a meaning of its own in YAML"
            : $"line {failure.Start.Line}, column {failure.Start.Column}: {failure.InnerException?.Message ?? failure.Message}";
    }

    // The parser reports the line where it began to read what the tab is in.
    private static int? TabIn(string[] lines, YamlException failure) =>
        !failure.Message.Contains("tab", StringComparison.Ordinal) ? null
        : lines.Index().Skip((int)failure.Start.Line - 1)
            .Where(line => line.Item.AsSpan(0, line.Item.Length - line.Item.AsSpan().TrimStart().Length).Contains('\t'))
            .Select(line => (int?)line.Index + 1).FirstOrDefault();

    // A text without quotes that begins with a sign of YAML.
    private static (int Line, char Sign)? UnquotedIn(string[] lines, YamlException failure)
    {
        var (line, column) = ((int)failure.Start.Line, (int)failure.Start.Column);
        // The mistakes that Parse finds after the parser are not about signs.
        if (line < 1 || line > lines.Length || failure.GetType() == typeof(YamlException))
            return null;
        return lines[line - 1].ElementAtOrDefault(column - 1) is '*' or '&' or '@' or '%' or '`' && lines[line - 1][column - 1] is var sign
                ? (line, sign)
            : ListBeforeText().IsMatch(lines[line - 1]) ? (line, '[')
            : null;
    }

    // "addr: [::]:5000"
    [GeneratedRegex(@"^\s*(?:- *)?[^\s:]+: +\[[^\]]*\][^\s,#]")]
    private static partial Regex ListBeforeText();

    /// <summary>
    /// Adds the keys of <c>&lt;&lt;</c> to its mapping, whose own keys win. YamlDotNet's MergingParser returns a key twice that both have.
    /// </summary>
    private static void Merge(YamlNode node, HashSet<YamlNode> done, Findings findings)
    {
        if (!done.Add(node))
            return;

        foreach (var child in (node as YamlMappingNode)?.Children.Values ?? (node as YamlSequenceNode)?.Children ?? [])
            Merge(child, done, findings);

        Join(node as YamlMappingNode, findings);
        if (node is not YamlMappingNode map || !map.Children.Remove(MergeKey, out var merged))
            return;
        foreach (var other in merged is YamlSequenceNode several ? several.Children : [merged])
        {
            if (other is not YamlMappingNode mapping)
                throw new YamlException(other.Start, other.End, "Only a mapping can be merged.");
            foreach (var (key, value) in mapping.Children)
                map.Children.TryAdd(key, value);
        }
    }

    /// <summary>Makes one list of two lists under one key. Any other key that stands twice is a mistake.</summary>
    private static void Join(YamlMappingNode? map, Findings findings)
    {
        foreach (var (key, value) in map?.Children.ToList() ?? [])
        {
            if (RepeatedKeys.NameOf((key as YamlScalarNode)?.Value ?? "") is not { } name)
                continue;
            if (value is not YamlSequenceNode list
                || !map!.Children.TryGetValue(new YamlScalarNode(name), out var before) || before is not YamlSequenceNode first)
                throw new YamlException(key.Start, key.End, $"Duplicate key {name}");
            map.Children.Remove(key);
            foreach (var entry in list.Children)
                first.Children.Add(entry);
            findings.Warnings.Add($"{name} stands twice, the second time at line {key.Start.Line}; the two lists are read as one");
        }
    }

    /// <summary>The keys of a mapping with their values; none for another node. A key that is no text has an empty name.</summary>
    public static IEnumerable<(string Name, YamlNode Node)> EntriesOf(YamlNode? node) =>
        (node as YamlMappingNode)?.Children.Select(entry => ((entry.Key as YamlScalarNode)?.Value ?? "", entry.Value)) ?? [];

    extension(YamlNode node)
    {
        /// <summary>Whether the node is a null or an empty text.</summary>
        public bool IsEmpty => node is YamlScalarNode scalar
            && (scalar.Value is null or "" || scalar.Style is ScalarStyle.Plain && scalar.Value is "~" or "null" or "Null" or "NULL");
    }
}
