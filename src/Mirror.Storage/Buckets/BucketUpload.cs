using Mirror.Storage.Spooling;

namespace Mirror.Storage.Buckets;

/// <summary>
/// A spool on its way into the bucket. It can send parts while the spool grows, so that most parts are in the bucket when the last byte
/// arrives. The object appears with <see cref="CommitAsync"/> and not before.
/// </summary>
#pragma warning disable CA1001 // They hold only memory, and a part that still runs may use them after the upload was given up.
internal sealed class BucketUpload(IBucket bucket, Spool spool, string path, long chunkSize)
#pragma warning restore CA1001
{
    private const int MaxPartsAtOnce = 4;

    // Services accept 10,000 parts, and some want equal ones. The first 1,000 are equal, the next 1,000 are twice as long, and so on.
    private const int PartsPerLength = 1000;

    private readonly List<Task> _parts = [];
    private readonly SemaphoreSlim _slots = new(MaxPartsAtOnce);
    private readonly TaskCompletionSource _committing = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationTokenSource _stop = new();
    private IBucketUpload? _upload;
    private long _sent;
    private Task _sending = Task.CompletedTask;

    public string Path => path;

    private long PartLength => chunkSize << (_parts.Count / PartsPerLength);

    /// <summary>Sends parts while the spool grows, until it is committed or given up.</summary>
    public void SendWhileGrowing() => _sending = SendWhileGrowingAsync(spool.Growth);

    /// <summary>
    /// Sends the rest of the spool, which does not grow any more, and makes the object appear. An object of the same length is left as it
    /// is: the caller has claimed it, so no sweep deletes it, and has deleted it if it is known to be damaged.
    /// </summary>
    /// <exception cref="StoreUnavailableException">The object was not stored, and its parts were deleted.</exception>
    public async ValueTask CommitAsync(CancellationToken cancellationToken)
    {
        _committing.TrySetResult();
        await _sending;
        try
        {
            if (await bucket.SizeAsync(path, cancellationToken) == spool.Length)
                return;
            var whole = _upload is null && spool.Length <= chunkSize;
            while (!whole && _sent < spool.Length)
                await SendAsync(Math.Min(PartLength, spool.Length - _sent), cancellationToken);
            await Task.WhenAll(_parts);
            if (await bucket.PutContentAsync(path, spool.Length, whole ? PutAsync : CompleteAsync, cancellationToken))
                _upload = null;
        }
        finally
        {
            await AbortAsync();
        }

        ValueTask<bool> PutAsync(bool onlyIfAbsent) =>
            bucket.PutAsync(path, () => spool.OpenSlice(0, spool.Length), spool.Length, onlyIfAbsent, cancellationToken);

        ValueTask<bool> CompleteAsync(bool onlyIfAbsent) => _upload!.CompleteAsync(onlyIfAbsent, cancellationToken);
    }

    private async Task SendWhileGrowingAsync(Task growth)
    {
        try
        {
            // Wait for the first byte of this process: until then the caller may still throw away the bytes that an earlier process left.
            await Task.WhenAny(growth, _committing.Task, spool.GivenUp);
            while (!_committing.Task.IsCompleted && !spool.GivenUp.IsCompleted)
            {
                growth = spool.Growth;
                if (spool.Length - _sent >= PartLength)
                    await SendAsync(PartLength, CancellationToken.None);
                else if (spool.IsComplete)
                    await Task.WhenAny(_committing.Task, spool.GivenUp);
                else
                    await Task.WhenAny(growth, _committing.Task, spool.GivenUp);
            }
            if (!_committing.Task.IsCompleted)
                await AbortAsync();
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            // The bucket cannot be used now. The commit begins again.
            await AbortAsync();
        }
    }

    private async ValueTask SendAsync(long length, CancellationToken cancellationToken)
    {
        _upload ??= await bucket.BeginUploadAsync(path, cancellationToken);
        if (_parts.Find(part => part.IsFaulted) is { } failed)
            await failed;
        await _slots.WaitAsync(cancellationToken);
        _parts.Add(SendPartAsync(_upload, _parts.Count + 1, _sent, length, cancellationToken));
        _sent += length;
    }

    private async Task SendPartAsync(IBucketUpload upload, int number, long from, long length, CancellationToken cancellationToken)
    {
        try
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stop.Token);
            await upload.PutPartAsync(number, () => spool.OpenSlice(from, length), length, stop.Token);
        }
        finally
        {
            _slots.Release();
        }
    }

    // Deletes the parts in the bucket, so that the next attempt starts with the first byte.
    private async ValueTask AbortAsync()
    {
        if (_upload is not { } upload)
            return;
        await _stop.CancelAsync();
        await Task.WhenAll(_parts).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _parts.Clear();
        (_upload, _sent, _stop) = (null, 0, new());
        try
        {
            await upload.AbortAsync(CancellationToken.None);
        }
        catch (StoreUnavailableException)
        {
            // BucketSweepStore aborts it a day later.
        }
    }
}
