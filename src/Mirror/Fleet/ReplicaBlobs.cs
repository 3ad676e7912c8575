using System.Net.Http.Headers;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Fleet;

/// <summary>Asks the replica that downloads a blob for the blob's bytes.</summary>
public sealed class ReplicaBlobs(HttpOptions http, ReplicaConnections connections, FillLeases leases, TimeProvider time)
{
    // After this silence we look up the replica's lease. While it holds the lease it waits for upstream, and we wait for it.
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(5);

    private readonly string _prefix = $"{http.Prefix.TrimEnd('/')}/v2/";

    /// <summary>Asks for a blob's bytes; returns when the response's headers have arrived, with any status.</summary>
    /// <param name="end">The offset after the last byte wanted; null for all.</param>
    /// <exception cref="ReplicaLostException">The replica cannot be reached, or was silent and has lost its lease.</exception>
    public async Task<HttpResponseMessage> GetAsync(
        Uri replica, RepositoryName name, Digest digest, long from, long? end, CancellationToken cancellationToken)
    {
        var path = $"{_prefix}{name}/blobs/{digest}";
        var request = new HttpRequestMessage(HttpMethod.Get, new Uri(replica, path));
        ReplicaConnections.Sign(request, path);
        if (from > 0 || end is not null)
            request.Headers.Range = new RangeHeaderValue(from, end - 1);
        return await WhileHeldAsync(replica, digest, stop => connections.SendAsync(request, stop), cancellationToken);
    }

    /// <summary>Reads the next bytes of a response.</summary>
    /// <exception cref="ReplicaLostException">The connection was lost, or the replica was silent and has lost its lease.</exception>
    public async ValueTask<int> ReadAsync(Uri replica, Digest digest, Stream body, Memory<byte> buffer, CancellationToken stop) =>
        await WhileHeldAsync(replica, digest, token => body.ReadAsync(buffer, token).AsTask(), stop);

    private async Task<T> WhileHeldAsync<T>(Uri replica, Digest digest, Func<CancellationToken, Task<T>> ask, CancellationToken stop)
    {
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var asking = ask(giveUp.Token);
        var isTaken = false;
        try
        {
            while (true)
            {
                try
                {
                    var answer = await asking.WaitAsync(Silence, time, stop);
                    isTaken = true;
                    return answer;
                }
                catch (TimeoutException) when (!asking.IsFaulted)
                {
                    // If the answer has come since the timeout, take it.
                    if (!asking.IsCompleted && await leases.OwnerAsync(digest) != replica)
                        throw new ReplicaLostException($"The replica {replica.Authority} is silent and no longer holds its lease.");
                }
            }
        }
        catch (Exception lost) when (lost is HttpRequestException or TimeoutException || lost is IOException and not ReplicaLostException
            || lost is OperationCanceledException && !stop.IsCancellationRequested)
        {
            throw new ReplicaLostException($"The connection to the replica {replica.Authority} was lost: {lost.Message}", lost);
        }
        finally
        {
            // The read may still write into the caller's buffer; wait for it.
            await giveUp.CancelAsync();
            await ((Task)asking).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            // The response came after all.
            if (!isTaken && asking.IsCompletedSuccessfully)
                (await asking as IDisposable)?.Dispose();
        }
    }
}
