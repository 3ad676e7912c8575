using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Reading;

/// <summary>Reads YAML text as a tree of nodes, with merge keys (<c>&lt;&lt;</c>) applied.</summary>
internal static class YamlText
{
    private static readonly YamlScalarNode MergeKey = new("<<");

    /// <summary>The root of the first document; an empty scalar if the document is empty.</summary>
    /// <exception cref="YamlException">The text is not YAML; the exception names the line and column.</exception>
    public static YamlNode Parse(string text)
    {
        var yaml = new YamlStream();
        using var reader = new StringReader(text);
        yaml.Load(reader);
        var root = yaml.Documents.Count > 0 ? yaml.Documents[0].RootNode : new YamlScalarNode();
        Merge(root, new HashSet<YamlNode>(ReferenceEqualityComparer.Instance), []);
        return root;
    }

    /// <summary>The number of the line whose tab made <see cref="Parse"/> fail; null where it failed for another reason. The parser itself
    /// reports the line where it began to read what the tab is in.</summary>
    public static int? TabIn(string text, YamlException failure) =>
        !failure.Message.Contains("tab", StringComparison.Ordinal) ? null
        : text.Split('\n').Index().Skip((int)failure.Start.Line - 1)
            .Where(line => line.Item.AsSpan(0, line.Item.Length - line.Item.AsSpan().TrimStart().Length).Contains('\t'))
            .Select(line => (int?)line.Index + 1).FirstOrDefault();

    /// <summary>
    /// Adds the keys of <c>&lt;&lt;</c> to its mapping, whose own keys win. YamlDotNet's MergingParser returns a key twice that both have.
    /// </summary>
    private static void Merge(YamlNode node, HashSet<YamlNode> done, Stack<YamlNode> ancestors)
    {
        if (ancestors.Contains(node, ReferenceEqualityComparer.Instance))
            throw new YamlException(node.Start, node.End, "An anchor contains itself.");
        if (!done.Add(node))
            return;

        ancestors.Push(node);
        foreach (var child in (node as YamlMappingNode)?.Children.Values ?? (node as YamlSequenceNode)?.Children ?? [])
            Merge(child, done, ancestors);
        ancestors.Pop();

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

    extension(YamlNode node)
    {
        /// <summary>Whether the node is a null or an empty text.</summary>
        public bool IsEmpty => node is YamlScalarNode scalar
            && (scalar.Value is null or "" || scalar.Style is ScalarStyle.Plain && scalar.Value is "~" or "null" or "Null" or "NULL");
    }
}
