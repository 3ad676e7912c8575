using Mirror.Storage;

namespace Mirror.Fleet;

/// <summary>
/// What replicas tell each other at once: that a manifest was removed, or that a tag moved. What is not heard is noticed all the same: what is pushed
/// and deleted here by looking into the store, which is believed for a second, and tags upstream when their time is up. Each replica keeps calling itself
/// on the same connection: who hears himself hears the others, and who hears himself again forgets what he remembers.
/// </summary>
/// <param name="memory">Null where there is nobody to hear.</param>
public sealed class Announcements(TimeProvider time, RedisGuard? memory = null) : BackgroundService
{
    private const string Changes = "mirror:1:changes";

    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxSilence = TimeSpan.FromSeconds(2.5);

    private readonly string _self = Guid.NewGuid().ToString("N");
    private long _heard;
    private bool _listening;

    /// <summary>Another replica removed a manifest from a repository.</summary>
    public event Action<RepositoryName, Digest>? ManifestRemoved;

    /// <summary>Another replica learnt that a tag names something else, or nothing.</summary>
    public event Action<RepositoryName, string>? TagMoved;

    /// <summary>Announcements may have been missed: whatever is remembered may have changed.</summary>
    public event Action? Missed;

    private string OwnBeat => $"mirror:1:beat:{_self}";

    private bool IsHearing => Volatile.Read(ref _heard) is not 0 and var heard && time.GetElapsedTime(heard) < MaxSilence;

    public async ValueTask ManifestRemovedAsync(RepositoryName name, Digest digest)
    {
        if (memory is not null)
            await memory.AnnounceAsync(Changes, $"{_self} {name} {digest}");
    }

    public async ValueTask TagMovedAsync(RepositoryName name, string tag)
    {
        if (memory is not null)
            await memory.AnnounceAsync(Changes, $"{_self} {name} {tag}");
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (memory is null)
            return;
        using var timer = new PeriodicTimer(Beat, time);
        try
        {
            do
            {
                // The client listens again by itself after a lost connection; only the first time is ours.
                if (!_listening)
                    _listening = await memory.ListenAsync(Changes, Hear) && await memory.ListenAsync(OwnBeat, _ => HearSelf());
                if (_listening)
                    await memory.AnnounceAsync(OwnBeat, "");
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException)
        {
            // The server stops.
        }
    }

    private void HearSelf()
    {
        var missed = !IsHearing;
        Volatile.Write(ref _heard, time.GetTimestamp());
        if (missed)
            Missed?.Invoke();
    }

    // Anybody who reaches Redis may say this: it only makes us ask the store, or upstream, again.
    private void Hear(string message)
    {
        if (message.Split(' ') is not [var who, var of, var what] || who == _self || !RepositoryName.TryParse(of, out var name))
            return;
        // No tag has a colon.
        if (Digest.TryParse(what, out var digest))
            ManifestRemoved?.Invoke(name, digest);
        else
            TagMoved?.Invoke(name, what);
    }
}
