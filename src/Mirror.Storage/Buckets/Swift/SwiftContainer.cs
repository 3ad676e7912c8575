using Mirror.Storage.Buckets.OpenStack;

namespace Mirror.Storage.Buckets.Swift;

/// <summary>Whether the container is there. It is never made public.</summary>
/// <param name="makes">Whether the container is made where it is missing when the bucket is first used, as registry:2 does.</param>
internal sealed class SwiftContainer(SwiftClient client, OpenStackCalls calls, string path, bool makes) : IDisposable
{
    private readonly SemaphoreSlim _opening = new(1);
    private volatile bool _isOpen;

    /// <summary>Finds or makes the container.</summary>
    /// <exception cref="StoreUnavailableException">It is missing and is not to be made, or the service is away.</exception>
    public async ValueTask OpenAsync(CancellationToken cancellationToken)
    {
        if (_isOpen)
            return;
        await _opening.WaitAsync(cancellationToken);
        try
        {
            if (_isOpen)
                return;
            if (await calls.GetOrNullAsync(
                async stop => await client.CallAsync(HttpMethod.Head, path, null, stop), cancellationToken) is null)
            {
                if (!makes)
                    throw calls.WithoutContainer();
                await calls.InvokeAsync(calls.SmallLimit, stop => client.CallAsync(HttpMethod.Put, path, null, stop), cancellationToken);
            }
            _isOpen = true;
        }
        finally
        {
            _opening.Release();
        }
    }

    public void Dispose() => _opening.Dispose();
}
