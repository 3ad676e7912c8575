using System.Security.Cryptography;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// A blob straight from upstream to one client, when our store takes no more: hashed from its first byte on, so that its last bytes are given
/// only when the digest is right. What a failed spool still holds is read from there.
/// </summary>
public sealed class UncachedContent : Content
{
    private const int ScratchSize = 64 * 1024;

    private readonly Content? _spooled;
    private readonly long _spooledLength;
    private readonly Fill _fill;
    private readonly RepositoryName _name;
    private readonly IncrementalHash _hash;
    private Content? _source;
    private long _hashed;

    private UncachedContent(Content? spooled, long spooledLength, Fill fill, RepositoryName name) =>
        (_spooled, _spooledLength, _fill, _name, _hash) = (spooled, spooledLength, fill, name, fill.Digest.NewHash());

    public override long? Length => _spooled?.Length ?? _source?.Length;

    /// <summary>The whole blob from upstream.</summary>
    /// <exception cref="UpstreamException">One of the three answers that are not content.</exception>
    public static async ValueTask<UncachedContent> OpenAsync(Fill fill, RepositoryName name, CancellationToken cancellationToken)
    {
        var content = new UncachedContent(null, 0, fill, name);
        content._source = await fill.Transfer.OpenBesideAsync(name, 0, null, cancellationToken);
        if (content.Length is not null)
            return content;
        await content.DisposeAsync();
        throw new UpstreamUnavailableException($"Nobody says how long {fill.Digest} is, and without room to store it, it cannot be checked.");
    }

    /// <summary>What a failed spool holds, then upstream.</summary>
    /// <param name="spooled">Read up to <paramref name="spooledLength"/>; stays the caller's.</param>
    public static UncachedContent Behind(Content spooled, long spooledLength, Fill fill, RepositoryName name) => new(spooled, spooledLength, fill, name);

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (offset < _hashed)
            throw new IOException("Bytes that go uncached can only be read in order.");
        if (_hashed < offset)
        {
            var scratch = new byte[ScratchSize];
            while (_hashed < offset && await ReadNextAsync(scratch.AsMemory(0, (int)Math.Min(scratch.Length, offset - _hashed)), cancellationToken) > 0)
            {
            }
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
        int read;
        if (_hashed < _spooledLength)
            read = await _spooled!.ReadAsync(_hashed, buffer[..(int)Math.Min(buffer.Length, _spooledLength - _hashed)], cancellationToken);
        else
        {
            _source ??= await _fill.Transfer.OpenBesideAsync(_name, _hashed, null, cancellationToken);
            read = await _source.ReadAsync(_hashed, buffer, cancellationToken);
        }
        _hash.AppendData(buffer.Span[..read]);
        _hashed += read;
        if (_hashed == Length && Digest.FromHash(_fill.Digest.Algorithm, _hash.GetCurrentHash()) != _fill.Digest)
            throw new DigestMismatchException($"Other bytes came than {_fill.Digest} names.");
        return read;
    }
}
