using Amazon.S3.Model;
using Mirror.Storage.Spooling;

namespace Mirror.Storage.Buckets.S3;

/// <summary>
/// A spool on its way into the bucket. It can follow the spool as a reader does, so that most parts are there when the last byte arrives; the
/// object appears with <see cref="CommitAsync"/> and not before.
/// </summary>
#pragma warning disable CA1001 // Neither field holds more than memory, and nobody could say when an upload that is given up is done with them.
internal sealed class S3Upload(S3Bucket bucket, Spool spool, string path, long chunkSize)
#pragma warning restore CA1001
{
    private const int PartsAtOnce = 4;

    // A store takes 10,000 parts: equal ones for the first 1,000, as some insist on, then twice as long ones, and so on.
    private const int PartsPerSize = 1000;

    private readonly List<Task<PartETag>> _parts = [];
    private readonly SemaphoreSlim _slots = new(PartsAtOnce);
    private readonly TaskCompletionSource _committing = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationTokenSource _stop = new();
    private string? _upload;
    private long _sent;
    private Task _following = Task.CompletedTask;

    public string Path => path;

    /// <summary>Sends parts as they fill up, until the spool is committed or given up.</summary>
    public void Follow() => _following = FollowAsync(spool.Growth);

    /// <summary>Sends what is missing and makes the object appear. It has the spool's length now, which is final.</summary>
    /// <exception cref="StoreUnavailableException">The object is not there, and nothing is left of it.</exception>
    public async ValueTask CommitAsync(CancellationToken cancellationToken)
    {
        _committing.TrySetResult();
        await _following;
        try
        {
            if (_upload is null && spool.Length <= chunkSize)
            {
                await bucket.Writer.PutAsync(path, () => spool.OpenSlice(0, spool.Length), spool.Length, onlyNew: true, cancellationToken);
                return;
            }
            while (_sent < spool.Length)
                await SendAsync(Math.Min(PartLength, spool.Length - _sent), cancellationToken);
            if (await bucket.Writer.CompleteAsync(path, _upload!, await Task.WhenAll(_parts), spool.Length, cancellationToken))
                _upload = null;
        }
        finally
        {
            await AbortAsync();
        }
    }

    private long PartLength => chunkSize << (_parts.Count / PartsPerSize);

    private async Task FollowAsync(Task growth)
    {
        try
        {
            // Until the first byte of this process, what an earlier one left may still be thrown away.
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
            // The store is in trouble: there is another try when the spool is committed.
            await AbortAsync();
        }
    }

    private async ValueTask SendAsync(long length, CancellationToken cancellationToken)
    {
        _upload ??= await bucket.Writer.BeginAsync(path, cancellationToken);
        if (_parts.Find(part => part.IsFaulted) is { } failed)
            await failed;
        await _slots.WaitAsync(cancellationToken);
        _parts.Add(SendPartAsync(_upload, _parts.Count + 1, _sent, length, cancellationToken));
        _sent += length;
    }

    private async Task<PartETag> SendPartAsync(string upload, int number, long from, long length, CancellationToken cancellationToken)
    {
        try
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stop.Token);
            return await bucket.Writer.PutPartAsync(path, upload, number, () => spool.OpenSlice(from, length), length, stop.Token);
        }
        finally
        {
            _slots.Release();
        }
    }

    // Back to nothing, here and there.
    private async ValueTask AbortAsync()
    {
        if (_upload is not { } upload)
            return;
        await _stop.CancelAsync();
        await Task.WhenAll(_parts).ContinueWith(static parts => parts.Exception, TaskScheduler.Default);
        _parts.Clear();
        (_upload, _sent, _stop) = (null, 0, new());
        try
        {
            await bucket.Writer.AbortAsync(path, upload, CancellationToken.None);
        }
        catch (StoreUnavailableException)
        {
            // Housekeeping finds it later.
        }
    }
}
