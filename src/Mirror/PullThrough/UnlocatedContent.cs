using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>Stored content that this server sends itself, and for which it sends no client to the store.</summary>
internal sealed class UnlocatedContent(Content stored) : Content
{
    public override long? Length => stored.Length;

    public override ValueTask PrepareAsync(long from, long until, CancellationToken cancellationToken) =>
        stored.PrepareAsync(from, until, cancellationToken);

    public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        stored.ReadAsync(offset, buffer, cancellationToken);

    public override async ValueTask DisposeAsync()
    {
        await stored.DisposeAsync();
        await base.DisposeAsync();
    }
}
