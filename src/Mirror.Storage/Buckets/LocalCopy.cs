using Mirror.Storage.Disk;

namespace Mirror.Storage.Buckets;

/// <summary>A copy on the local disk. If the disk cannot read it, the reader gets the rest from the bucket.</summary>
/// <param name="openStored">Opens the content of the bucket, and removes the copy.</param>
internal sealed class LocalCopy(FileContent copy, Func<CancellationToken, ValueTask<Content?>> openStored) : Content, ILocatedContent
{
    private Content? _stored;

    public override long? Length => copy.Length;

    public ValueTask<Uri?> LocateAsync(CancellationToken cancellationToken) => copy.LocateAsync(cancellationToken);

    public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_stored is not null)
            return _stored.ReadAsync(offset, buffer, cancellationToken);
        try
        {
            return copy.ReadAsync(offset, buffer, cancellationToken);
        }
        catch (IOException)
        {
            return ReadStoredAsync(offset, buffer, cancellationToken);
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await copy.DisposeAsync();
        if (_stored is not null)
            await _stored.DisposeAsync();
        await base.DisposeAsync();
    }

    private async ValueTask<int> ReadStoredAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        _stored = await openStored(cancellationToken) ?? throw new IOException("The bucket lacks content whose copy cannot be read.");
        return await _stored.ReadAsync(offset, buffer, cancellationToken);
    }
}
