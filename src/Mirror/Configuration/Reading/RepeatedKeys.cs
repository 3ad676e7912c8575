using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Mirror.Configuration.Reading;

/// <summary>
/// A parser that gives a key which a mapping has already another name, for <see cref="YamlText"/> to find: YamlDotNet's tree takes each key
/// once only. The sample of registry:2 invites to write <c>middleware.storage</c> twice.
/// </summary>
internal sealed class RepeatedKeys(IParser parser) : IParser
{
    private const char Mark = '\0';

    // The keys of each mapping around the current event; null for a list.
    private readonly Stack<(HashSet<string>? Keys, bool IsKeyNext)> _around = new();

    public ParsingEvent? Current { get; private set; }

    /// <summary>The key as the file has it; null for a key that stands once.</summary>
    public static string? NameOf(string key) => key.IndexOf(Mark, StringComparison.Ordinal) is > 0 and var mark ? key[..mark] : null;

    /// <exception cref="YamlException">A key is no text, or the text is not YAML. To compare keys, YamlDotNet would visit all nodes of such
    /// a key, also those behind references, any number of times.</exception>
    public bool MoveNext()
    {
        if (!parser.MoveNext())
            return false;
        Current = parser.Current;
        if (Current is MappingEnd or SequenceEnd)
        {
            _around.Pop();
            return true;
        }
        if (Current is MappingStart or SequenceStart or AnchorAlias
            && _around.TryPeek(out var outer) && outer is { Keys: not null, IsKeyNext: true })
            throw new YamlException(Current.Start, Current.End, "A key is a list, a mapping or a reference, and must be a text.");
        // To YamlDotNet a reference is no node.
        if (Current is NodeEvent or AnchorAlias && _around.TryPop(out var mapping))
        {
            if (mapping is { IsKeyNext: true, Keys: { } keys } && Current is Scalar key && !keys.Add(key.Value))
                Current = new Scalar(
                    key.Anchor, key.Tag, $"{key.Value}{Mark}{key.Start.Index}", key.Style, key.IsPlainImplicit,
                    key.IsQuotedImplicit, key.Start, key.End);
            _around.Push((mapping.Keys, !mapping.IsKeyNext));
        }
        if (Current is MappingStart)
            _around.Push(([], true));
        else if (Current is SequenceStart)
            _around.Push((null, false));
        return true;
    }
}
