namespace Mirror.Storage.Buckets;

/// <summary>
/// The clock of a bucket's service, by the header <c>Date</c> of its last answer. The service checks its signed addresses by it, and the
/// date of this machine may be wrong. Until the first answer it is the clock of this machine.
/// </summary>
internal sealed class StoreClock(TimeProvider time)
{
    // Services refuse what begins 15 minutes ahead of their clock.
    private static readonly TimeSpan MaxDifference = TimeSpan.FromMinutes(10);

    private volatile Reading? _last;

    /// <summary>The date of the service. A change of this machine's date does not change it.</summary>
    public DateTimeOffset Now => _last is { } last ? last.Date + time.GetElapsedTime(last.Timestamp) : time.GetUtcNow();

    /// <summary>How far the service is ahead of this machine.</summary>
    public TimeSpan Ahead => Now - time.GetUtcNow();

    /// <summary>Whether the service accepts a signed address that begins now by the clock of this machine.</summary>
    public bool IsNear => Ahead.Duration() < MaxDifference;

    /// <summary>Reads the date of an answer, unless a cache in between has kept the answer for some time.</summary>
    public void Note(HttpResponseMessage answer)
    {
        if (answer.Headers is { Date: { } date, Age: null })
            _last = new(date, time.GetTimestamp());
    }

    private sealed record Reading(DateTimeOffset Date, long Timestamp);
}
