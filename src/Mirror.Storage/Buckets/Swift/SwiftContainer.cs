using Mirror.Storage.Buckets.OpenStack;

namespace Mirror.Storage.Buckets.Swift;

/// <summary>Whether the container is there. It is made where it is missing when the bucket is first used, and never public.</summary>
internal sealed class SwiftContainer(SwiftClient client, OpenStackCalls calls, string path, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Trust = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _opening = new(1);
    private long? _seen;

    /// <summary>Makes the container if it is missing, as registry:2 does.</summary>
    public async ValueTask OpenAsync(CancellationToken cancellationToken)
    {
        if (_seen is not null)
            return;
        await _opening.WaitAsync(cancellationToken);
        try
        {
            if (_seen is not null)
                return;
            if (await calls.GetOrNullAsync(
                async stop => await client.CallAsync(HttpMethod.Head, path, null, stop), cancellationToken) is null)
                await calls.InvokeAsync(calls.SmallLimit, stop => client.CallAsync(HttpMethod.Put, path, null, stop), cancellationToken);
            _seen = time.GetTimestamp();
        }
        finally
        {
            _opening.Release();
        }
    }

    /// <summary>What was found. If that is nothing, the container is looked for: one that does not exist answers as an object that does
    /// not.</summary>
    public async ValueTask<T?> OrMissingAsync<T>(T? found, CancellationToken cancellationToken) where T : class
    {
        if (found is null && (_seen is not { } seen || time.GetElapsedTime(seen) > Trust))
        {
            await calls.InvokeAsync(calls.SmallLimit, stop => client.CallAsync(HttpMethod.Head, path, null, stop), cancellationToken);
            _seen = time.GetTimestamp();
        }
        return found;
    }

    public void Dispose() => _opening.Dispose();
}
