using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>A blob on its way in at another replica: whoever asked for it is forwarded there. It has no bytes of its own.</summary>
public sealed class ContentElsewhere(Uri replica) : Content
{
    /// <summary>Who has it.</summary>
    public Uri Replica => replica;

    public override long? Length => null;

    public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        throw new NotSupportedException($"These bytes are on their way to {replica}.");
}
