using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Reading;

/// <summary>YAML text as a tree of nodes, with <c>&lt;&lt;</c> merged.</summary>
internal static class YamlText
{
    /// <summary>The first document's root; an empty document is an empty scalar.</summary>
    /// <exception cref="YamlException">The text is not YAML; the exception says at which line and column.</exception>
    public static YamlNode Parse(string text)
    {
        var yaml = new YamlStream();
        using var reader = new StringReader(text);
        yaml.Load(new MergingParser(new Parser(reader)));
        return yaml.Documents.Count > 0 ? yaml.Documents[0].RootNode : new YamlScalarNode();
    }

    extension(YamlNode node)
    {
        /// <summary>Whether the node is a null or an empty text.</summary>
        public bool IsEmpty => node is YamlScalarNode scalar
            && (scalar.Value is null or "" || scalar.Style is ScalarStyle.Plain && scalar.Value is "~" or "null" or "Null" or "NULL");
    }
}
