using Mirror.Storage;

namespace Mirror.Fleet;

/// <summary>
/// What replicas tell each other at once: a manifest was removed, a tag moved. Each keeps calling itself on the same connection: who hears
/// himself hears the others. Who does not believes his memory for <see cref="DeafLife"/> only, and forgets it all when he hears again.
/// </summary>
/// <param name="memory">Null where there is nobody to hear.</param>
public sealed class Announcements(TimeProvider time, SharedMemory? memory = null) : BackgroundService
{
    /// <summary>How long what is in memory may be believed without asking the store, while others may not be heard.</summary>
    public static readonly TimeSpan DeafLife = TimeSpan.FromMilliseconds(200);

    private const string Changes = "mirror:1:changes";

    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(200);
    // With DeafLife under a second from a change to its notice, whatever breaks.
    private static readonly TimeSpan LongestSilence = TimeSpan.FromMilliseconds(700);

    private readonly string _self = Guid.NewGuid().ToString("N");
    private long _heard;
    private bool _listening;

    /// <summary>Another replica removed a manifest from a repository.</summary>
    public event Action<RepositoryName, Digest>? ManifestRemoved;

    /// <summary>Another replica learnt that a tag names something else, or nothing.</summary>
    public event Action<RepositoryName, string>? TagMoved;

    /// <summary>Announcements may have been missed: whatever is remembered may have changed.</summary>
    public event Action? Missed;

    /// <summary>Whether others may have something to say that is not heard.</summary>
    public bool AreMissed => memory is not null && !IsHearing;

    private string OwnBeat => $"mirror:1:beat:{_self}";

    private bool IsHearing => Volatile.Read(ref _heard) is not 0 and var heard && time.GetElapsedTime(heard) < LongestSilence;

    public async ValueTask ManifestRemovedAsync(RepositoryName name, Digest digest)
    {
        if (memory is not null)
            await memory.AnnounceAsync(Changes, $"{_self} manifest {name} {digest}");
    }

    public async ValueTask TagMovedAsync(RepositoryName name, string tag)
    {
        if (memory is not null)
            await memory.AnnounceAsync(Changes, $"{_self} tag {name} {tag}");
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
        if (message.Split(' ') is not [var who, var what, var of, var which] || who == _self || !RepositoryName.TryParse(of, out var name))
            return;
        if (what == "manifest" && Digest.TryParse(which, out var digest))
            ManifestRemoved?.Invoke(name, digest);
        else if (what == "tag")
            TagMoved?.Invoke(name, which);
    }
}
