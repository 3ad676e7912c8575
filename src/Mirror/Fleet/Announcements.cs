using Mirror.Storage;

namespace Mirror.Fleet;

/// <summary>
/// Messages between the replicas over one store: a manifest or a blob was removed, or a tag moved. A lost message only causes delay,
/// because caches expire. Each replica publishes a heartbeat to itself. When heartbeats resume after a gap, the replica may have missed
/// messages, and clears its caches.
/// </summary>
/// <param name="redis">Null where there are no other replicas.</param>
public sealed class Announcements(RedisKeys keys, TimeProvider time, RedisGuard? redis = null) : BackgroundService
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxSilence = TimeSpan.FromSeconds(2.5);

    private readonly string _self = Guid.NewGuid().ToString("N");
    private long _heard;

    /// <summary>Another replica removed a manifest or a blob from a repository.</summary>
    public event Action<RepositoryName, Digest>? ContentRemoved;

    /// <summary>Another replica learnt that a tag names something else, or nothing.</summary>
    public event Action<RepositoryName, string>? TagChanged;

    /// <summary>Announcements may have been missed: clear what they would have changed.</summary>
    public event Action? MessagesMayBeLost;

    private bool IsHearing => Volatile.Read(ref _heard) is not 0 and var heard && time.GetElapsedTime(heard) < MaxSilence;

    /// <summary>Tells the other replicas that a repository no longer has a manifest or a blob.</summary>
    public ValueTask ContentRemovedAsync(RepositoryName name, Digest digest) => AnnounceAsync(name, digest.ToString());

    /// <summary>Tells the other replicas that a tag names something else, or nothing.</summary>
    public ValueTask TagChangedAsync(RepositoryName name, string tag) => AnnounceAsync(name, tag);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (redis is null)
            return;
        var heartbeat = RedisKeys.Heartbeat(_self);
        var listening = false;
        using var timer = new PeriodicTimer(Beat, time);
        try
        {
            do
            {
                // The first subscription is ours to make; after a lost connection the client makes it again.
                listening = listening || await redis.ListenAsync(keys.Changes, Hear) && await redis.ListenAsync(heartbeat, _ => HearSelf());
                if (listening)
                    await redis.AnnounceAsync(heartbeat, "");
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException)
        {
            // The server stops.
        }
    }

    private async ValueTask AnnounceAsync(RepositoryName name, string what)
    {
        if (redis is not null)
            await redis.AnnounceAsync(keys.Changes, $"{_self} {name} {what}");
    }

    internal void HearSelf()
    {
        var missed = !IsHearing;
        Volatile.Write(ref _heard, time.GetTimestamp());
        if (missed)
            MessagesMayBeLost?.Invoke();
    }

    // Messages are not signed: a forged one only makes this replica ask the store, or upstream, again.
    internal void Hear(string message)
    {
        // The sender, the repository, and the digest or the tag.
        var words = message.Split(' ');
        if (words.Length != 3 || words[0] == _self || !RepositoryName.TryParse(words[1], out var name))
            return;
        var what = words[2];
        // A digest has a colon, and a tag has none.
        if (Digest.TryParse(what, out var digest))
            ContentRemoved?.Invoke(name, digest);
        else
            TagChanged?.Invoke(name, what);
    }
}
