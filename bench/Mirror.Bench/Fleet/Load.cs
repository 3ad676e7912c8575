using System.Collections.Concurrent;
using System.Diagnostics;

namespace Mirror.Bench.Fleet;

/// <summary>Clients that pull small images without pause, known ones and, twice a second, one that nobody has asked for before.</summary>
internal sealed class Load
{
    private const int Clients = 8;
    private const int LayerSize = 1 << 20;

    private static readonly TimeSpan Newcomer = TimeSpan.FromMilliseconds(500);

    private long _requests;
    private long _failed;
    private long _wrong;
    private string? _failure;

    public long Requests => _requests;

    public long Failed => _failed;

    public long Wrong => _wrong;

    /// <summary>What went wrong first, to be added to a line; empty where nothing did.</summary>
    public string FirstFailure => _failure is null ? "" : $"; first: {_failure}";

    public ConcurrentQueue<Pull> Images { get; } = new();

    /// <param name="meanwhile">What is done to the servers; it asks whether the time is over.</param>
    public static Load Run(Upstream upstream, int port, TimeSpan time, Action<Func<bool>> meanwhile)
    {
        var load = new Load();
        var started = Stopwatch.GetTimestamp();
        bool IsOver() => Stopwatch.GetElapsedTime(started) > time;
        load.Images.Enqueue(new Pull(upstream, 1, LayerSize));
        var disturbing = new Thread(() => meanwhile(IsOver));
        disturbing.Start();
        // Until the last thing that is done to the servers is done, too.
        bool IsDone() => IsOver() && !disturbing.IsAlive;
        Thread[] threads = [.. Enumerable.Range(0, Clients).Select(_ => new Thread(() => load.Pull(port, IsDone), 256 * 1024))];
        foreach (var thread in threads)
            thread.Start();
        while (!IsDone())
        {
            Thread.Sleep(Newcomer);
            load.Images.Enqueue(new Pull(upstream, 1, LayerSize));
        }
        foreach (var thread in threads)
            thread.Join();
        return load;
    }

    private void Pull(int port, Func<bool> isDone)
    {
        while (!isDone())
        {
            Pull[] images = [.. Images];
            // Everybody the newest, as a fleet does, and one of the others.
            foreach (var image in new[] { images[^1], images[Random.Shared.Next(images.Length)] })
            {
                Interlocked.Add(ref _requests, 1 + image.Layers.Length);
                switch (image.Run(port, retries: 0, failure => Interlocked.CompareExchange(ref _failure, failure, null)))
                {
                    case null:
                        Interlocked.Increment(ref _wrong);
                        break;
                    case var failed:
                        Interlocked.Add(ref _failed, failed.Value);
                        break;
                }
            }
        }
    }
}
