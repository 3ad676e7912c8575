using System.Buffers;
using System.Collections.Concurrent;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Spooling;

namespace Mirror.Copying;

/// <summary>
/// Copies content, each once, however many repositories have it. The bytes go through a spool, where they are hashed; a destination that
/// is a bucket gets parts of it meanwhile. A later process continues a spool that an earlier one left.
/// </summary>
/// <param name="isDryRun">Whether content is only counted.</param>
/// <param name="maxAtOnce">How many blobs are on their way at a time.</param>
internal sealed class ContentCopy(CopyStore from, CopyStore to, CopyTally tally, bool isDryRun, int maxAtOnce) : IDisposable
{
    private const int BufferSize = 1 << 20;

    private readonly SingleFlight<Digest, bool> _running = new();
    private readonly SemaphoreSlim _slots = new(maxAtOnce);
    private readonly Lock _gate = new();
    private readonly DigestSet _stored = new();
    private readonly ConcurrentDictionary<Digest, string> _damaged = new();

    /// <summary>Why content of the source cannot be copied; null for content that can, or was not looked at.</summary>
    public string? DamageOf(Digest digest) => _damaged.GetValueOrDefault(digest);

    /// <summary>Whether the destination has content: a list of it, and what was copied since.</summary>
    public bool IsStored(Digest digest)
    {
        lock (_gate)
            return _stored.Contains(digest);
    }

    /// <summary>Lists what the destination has. What is there was verified when it was stored.</summary>
    public async Task ListAsync(CancellationToken cancellationToken)
    {
        await foreach (var (digest, _, _) in to.Lists.ListContentAsync(cancellationToken))
            Stored(digest);
    }

    /// <summary>Finds out how many bytes there are to copy at most, while others are copied already.</summary>
    public async Task CountBytesAsync(CancellationToken cancellationToken)
    {
        var bytes = 0L;
        await foreach (var (digest, length, _) in from.Lists.ListContentAsync(cancellationToken))
            if (!IsStored(digest))
                bytes += length;
        tally.Expected = bytes;
    }

    /// <summary>Copies a blob, unless the destination has it.</summary>
    /// <returns>Whether the destination has it now. False where the source has none, or a damaged one.</returns>
    /// <exception cref="IOException">The source is away, or the destination does not take it.</exception>
    public async Task<bool> CopyAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (IsStored(digest))
        {
            tally.Present();
            return true;
        }
        return DamageOf(digest) is null
            && (await _running.JoinOrStart(digest, stop => CopyOneAsync(digest, stop), cancellationToken)).Result;
    }

    /// <summary>Stores a manifest that was read from the source, and verified.</summary>
    /// <exception cref="IOException">The destination does not take it.</exception>
    public async Task PutAsync(Digest digest, byte[] bytes, CancellationToken cancellationToken)
    {
        if (!isDryRun)
            await to.Content.PutAsync(digest, bytes, cancellationToken);
        Stored(digest);
    }

    public void Dispose() => _slots.Dispose();

    private async Task<bool> CopyOneAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (IsStored(digest))
            return true;
        await _slots.WaitAsync(cancellationToken);
        try
        {
            return isDryRun ? await CountAsync(digest, cancellationToken) : await TransferAsync(digest, cancellationToken);
        }
        catch (UnreadableException unreadable)
        {
            _damaged[digest] = $"the source cannot read it: {unreadable.Message}";
            return false;
        }
        finally
        {
            _slots.Release();
        }
    }

    private async Task<bool> CountAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (await OfSourceAsync(() => from.Content.SizeAsync(digest, cancellationToken)) is not { } length)
            return false;
        tally.Read(length);
        tally.Blob();
        Stored(digest);
        return true;
    }

    private async Task<bool> TransferAsync(Digest digest, CancellationToken cancellationToken)
    {
        await using var content = await OfSourceAsync(() => from.Content.OpenAsync(digest, cancellationToken));
        if (content?.Length is not { } length)
            return false;
        while (true)
        {
            await using var spool = await to.Content.SpoolAsync(digest, cancellationToken);
            var isContinued = spool.Length > 0;
            var isRight = await AppendAsync(content, spool, length, cancellationToken)
                && await spool.VerifyAsync(digest, cancellationToken) && await spool.VerifyAgainAsync(digest, cancellationToken);
            if (isRight)
            {
                await to.Content.CommitAsync(spool, digest, cancellationToken);
                tally.Blob();
                Stored(digest);
                return true;
            }
            // The next spool is empty: parts of this one may be in a bucket already.
            spool.Delete();
            if (isContinued)
                continue;
            _damaged[digest] = "its bytes do not match the digest";
            return false;
        }
    }

    // False where the source has another length than it said.
    private async Task<bool> AppendAsync(Content content, Spool spool, long length, CancellationToken cancellationToken)
    {
        if (spool.Length > length)
            return false;
        spool.ExpectedLength = length;
        if (spool.Length > 0)
            spool.Continue();
        await OfSourceAsync(async () =>
        {
            await content.PrepareAsync(spool.Length, length, cancellationToken);
            return true;
        });
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            while (spool.Length < length)
            {
                var part = buffer.AsMemory(0, (int)Math.Min(buffer.Length, length - spool.Length));
                var read = await OfSourceAsync(() => content.ReadAsync(spool.Length, part, cancellationToken));
                if (read == 0)
                    return false;
                spool.Append(part.Span[..read]);
                tally.Read(read);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        return true;
    }

    private void Stored(Digest digest)
    {
        lock (_gate)
            _stored.Add(digest);
    }

    // A source that cannot read one of its files can still read the others; a source that is away cannot read any.
    private static async ValueTask<T> OfSourceAsync<T>(Func<ValueTask<T>> read)
    {
        try
        {
            return await read();
        }
        catch (Exception failure) when (failure.IsStoreFailure && failure is not StoreUnavailableException)
        {
            throw new UnreadableException(failure);
        }
    }

    private sealed class UnreadableException(Exception cause) : Exception(cause.Message, cause);
}
