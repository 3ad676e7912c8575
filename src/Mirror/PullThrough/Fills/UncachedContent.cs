using System.Security.Cryptography;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// A blob from upstream for one client, when the store has no room for it. It is hashed from its first byte on, and the last bytes are
/// returned only if the digest is correct. Bytes that a failed spool still has are read from there.
/// </summary>
internal sealed class UncachedContent : Content
{
    private const int SkipBufferSize = 64 * 1024;

    private readonly FillTransfer _transfer;
    private readonly FillOrigin _origin;
    private readonly Content? _spooled;
    private readonly IncrementalHash _hash;
    private readonly LimitWaits _waits;
    private long _spooledLength;
    private Content? _source;
    private long _hashed;

    private UncachedContent(FillTransfer transfer, FillOrigin origin, Content? spooled, long spooledLength)
    {
        (_transfer, _origin) = (transfer, origin);
        (_spooled, _spooledLength, _hash, _waits) = (spooled, spooledLength, transfer.Digest.NewHash(), new LimitWaits(origin));
    }

    public override long? Length => _spooled?.Length ?? _source?.Length;

    /// <summary>The whole blob from upstream.</summary>
    /// <exception cref="UpstreamException">Upstream lacks the blob, denies it, limits requests (429) or is unavailable: see the
    /// subclasses.</exception>
    public static async ValueTask<UncachedContent> OpenAsync(
        FillTransfer transfer, FillOrigin origin, CancellationToken cancellationToken)
    {
        var content = new UncachedContent(transfer, origin, null, 0);
        content._source = await transfer.OpenRangeAsync(origin, 0, null, cancellationToken);
        if (content.Length is not null)
            return content;
        await content.DisposeAsync();
        throw new UpstreamUnavailableException(
            $"The store has no room for {transfer.Digest}, and it cannot be verified without: upstream does not tell its length.");
    }

    /// <summary>What a failed spool has, then the rest from upstream.</summary>
    /// <param name="spooled">Is read up to <paramref name="spooledLength"/>. The caller disposes it.</param>
    public static UncachedContent After(Content spooled, long spooledLength, FillTransfer transfer, FillOrigin origin) =>
        new(transfer, origin, spooled, spooledLength);

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (offset < _hashed)
            throw new IOException("Uncached bytes can be read in order only.");
        if (_hashed < offset)
        {
            var skipped = new byte[SkipBufferSize];
            int count;
            do
                count = (int)Math.Min(skipped.Length, offset - _hashed);
            while (count > 0 && await ReadNextAsync(skipped.AsMemory(0, count), cancellationToken) > 0);
        }
        return await ReadNextAsync(buffer, cancellationToken);
    }

    public override async ValueTask DisposeAsync()
    {
        if (_source is not null)
            await _source.DisposeAsync();
        _hash.Dispose();
        await base.DisposeAsync();
    }

    private async ValueTask<int> ReadNextAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_hashed == Length)
            return 0;
        var read = await ReadSpooledAsync(buffer, cancellationToken) ?? await ReadUpstreamAsync(buffer, cancellationToken);
        _hash.AppendData(buffer.Span[..read]);
        _hashed += read;
        if (_hashed == Length && Digest.FromHash(_transfer.Digest.Algorithm, _hash.GetCurrentHash()) != _transfer.Digest)
            throw new DigestMismatchException($"{_origin.Authority} sent other bytes than {_transfer.Digest} names.");
        return read;
    }

    // The client may have got bytes, so a retry of its request could not help it: if upstream says "later" (429), wait here.
    private async ValueTask<int> ReadUpstreamAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
            try
            {
                _source ??= await _transfer.OpenRangeAsync(_origin, _hashed, null, cancellationToken);
                return await _source.ReadAsync(_hashed, buffer, cancellationToken);
            }
            catch (UpstreamLimitedException limited)
            {
                if (!await _waits.WaitAsync(limited, _hashed, cancellationToken))
                    throw;
            }
    }

    // Null where the spool has no more.
    private async ValueTask<int?> ReadSpooledAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_hashed >= _spooledLength)
            return null;
        try
        {
            var wanted = buffer[..(int)Math.Min(buffer.Length, _spooledLength - _hashed)];
            return await _spooled!.ReadAsync(_hashed, wanted, cancellationToken);
        }
        catch (IOException ended) when (ended.InnerException is IOException and not DigestMismatchException)
        {
            // The client's first byte may lie after the byte at which the disk failed.
            _spooledLength = _hashed;
            return null;
        }
    }
}
