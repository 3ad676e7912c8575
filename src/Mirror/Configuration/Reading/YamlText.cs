using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Reading;

/// <summary>YAML text as a tree of nodes, with <c>&lt;&lt;</c> merged.</summary>
internal static class YamlText
{
    private static readonly YamlScalarNode MergeKey = new("<<");

    /// <summary>The first document's root; an empty document is an empty scalar.</summary>
    /// <exception cref="YamlException">The text is not YAML; the exception says at which line and column.</exception>
    public static YamlNode Parse(string text)
    {
        var yaml = new YamlStream();
        using var reader = new StringReader(text);
        yaml.Load(reader);
        var root = yaml.Documents.Count > 0 ? yaml.Documents[0].RootNode : new YamlScalarNode();
        Merge(root, new HashSet<YamlNode>(ReferenceEqualityComparer.Instance), []);
        return root;
    }

    /// <summary>
    /// Puts the keys of <c>&lt;&lt;</c> beside those of the mapping it stands in, which go first. YamlDotNet's own merging parser
    /// yields such a key twice.
    /// </summary>
    private static void Merge(YamlNode node, HashSet<YamlNode> done, Stack<YamlNode> around)
    {
        if (around.Any(outer => ReferenceEquals(outer, node)))
            throw new YamlException(node.Start, node.End, "An anchor contains itself.");
        if (!done.Add(node))
            return;

        around.Push(node);
        foreach (var child in (node as YamlMappingNode)?.Children.Values ?? (node as YamlSequenceNode)?.Children ?? [])
            Merge(child, done, around);
        around.Pop();

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
