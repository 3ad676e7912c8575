using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Mirror.Configuration.Reading;

/// <summary>
/// A parser that refuses a reference before the end of the node that it names (YAML 1.2, 7.1). YamlDotNet takes it, and such a tree may
/// contain itself: whatever walks it needs the whole stack.
/// </summary>
internal sealed class EarlierAnchors(IParser parser) : IParser
{
    // The anchors of the nodes around the current event, and those of nodes that are complete.
    private readonly Stack<AnchorName> _open = new();
    private readonly HashSet<AnchorName> _complete = [];

    public ParsingEvent? Current => parser.Current;

    /// <exception cref="YamlException">A reference names no earlier node, or the text is not YAML.</exception>
    public bool MoveNext()
    {
        if (!parser.MoveNext())
            return false;
        switch (Current)
        {
            case MappingStart or SequenceStart:
                _open.Push(((NodeEvent)Current).Anchor);
                break;
            case MappingEnd or SequenceEnd:
                _complete.Add(_open.Pop());
                break;
            case Scalar { Anchor: var anchor }:
                _complete.Add(anchor);
                break;
            case AnchorAlias { Value: var anchor } when _open.Contains(anchor):
                throw new YamlException(Current.Start, Current.End, "An anchor contains itself.");
            case AnchorAlias { Value: var anchor } when !_complete.Contains(anchor):
                throw new AnchorNotFoundException(Current.Start, Current.End, $"No anchor {anchor} stands before this reference.");
        }
        return true;
    }
}
