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
    // The anchors of the nodes around the current event, and those of nodes that are complete.
    private readonly Stack<AnchorName> _open = new();
    private readonly HashSet<AnchorName> _complete = [];

    public ParsingEvent? Current { get; private set; }

    /// <summary>The key as the file has it; null for a key that stands once.</summary>
    public static string? NameOf(string key) => key.IndexOf(Mark, StringComparison.Ordinal) is > 0 and var mark ? key[..mark] : null;

    /// <exception cref="YamlException">Also for an anchor that contains itself, and for a key that is no text: with either of them
    /// YamlDotNet would need the stack or the time of all nodes below.</exception>
    public bool MoveNext()
    {
        if (!parser.MoveNext())
            return false;
        Current = parser.Current;
        if (Current is MappingEnd or SequenceEnd)
        {
            _around.Pop();
            _complete.Add(_open.Pop());
            return true;
        }
        var isKey = _around.TryPeek(out var outer) && outer is { Keys: not null, IsKeyNext: true };
        if (Current is AnchorAlias { Value: var named } && !_complete.Contains(named))
            throw _open.Contains(named) ? new YamlException(Current.Start, Current.End, "An anchor contains itself.")
                // Before its anchor, too (YAML 1.2, 7.1).
                : new AnchorNotFoundException(Current.Start, Current.End, $"The anchor '{named}' does not exist");
        if (isKey && Current is MappingStart or SequenceStart or AnchorAlias)
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
        if (Current is MappingStart or SequenceStart)
            _open.Push(((NodeEvent)Current).Anchor);
        if (Current is Scalar { Anchor: var anchor })
            _complete.Add(anchor);
        if (Current is MappingStart)
            _around.Push(([], true));
        else if (Current is SequenceStart)
            _around.Push((null, false));
        return true;
    }
}
