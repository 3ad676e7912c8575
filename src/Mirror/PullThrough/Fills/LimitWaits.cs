using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// The waits of one reader of a blob whose upstream says "later" (429) in the middle of the blob. The reader waits as a request does that
/// has got no bytes yet.
/// </summary>
internal sealed class LimitWaits(FillOrigin origin)
{
    // After fewer bytes upstream has made no progress, and the waits count together.
    private const long MinProgress = 64 * 1024;

    private TimeSpan _waited;
    private long _bytes;

    /// <summary>Waits for the next attempt.</summary>
    /// <param name="bytes">How many bytes have come.</param>
    /// <returns>False without a wait if a request that has waited so long would get the exception.</returns>
    public async Task<bool> WaitAsync(UpstreamLimitedException limited, long bytes, CancellationToken stop)
    {
        if (bytes - _bytes >= MinProgress)
            _waited = TimeSpan.Zero;
        _bytes = bytes;
        if (await origin.Source.Retry.WaitAsync(origin.Name, limited, _waited, stop) is not { } wait)
            return false;
        _waited += wait;
        return true;
    }
}
