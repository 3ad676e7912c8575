namespace Mirror.Storage.Buckets.Swift;

/// <summary>Waits for lists of objects, which are late in some clusters.</summary>
internal sealed class SwiftListings(TimeProvider time)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    // registry:2 waits as long for segments.
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(15);

    /// <summary>Asks again, with growing pauses, until what was written is listed; for 15 seconds at most.</summary>
    /// <param name="otherwise">The message of the failure where it is never listed; null: there is no failure.</param>
    /// <exception cref="StoreUnavailableException">It is not listed, and <paramref name="otherwise"/> is given.</exception>
    public async ValueTask UntilListedAsync(Func<Task<bool>> isListed, CancellationToken cancellationToken, string? otherwise = null)
    {
        var begun = time.GetTimestamp();
        for (var pause = FirstPause; !await isListed(); pause *= 2)
        {
            if (time.GetElapsedTime(begun) >= MaxWait)
            {
                if (otherwise is not null)
                    throw new StoreUnavailableException(otherwise);
                return;
            }
            await Task.Delay(pause, time, cancellationToken);
        }
    }
}
