using System.Collections.Concurrent;
using System.Diagnostics;

namespace Mirror.Bench.Fleet;

/// <summary>Clients that pull small images without pause: known images, and twice a second an image that no client pulled before.</summary>
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

    /// <summary>The first failure, to add to a line; empty without a failure.</summary>
    public string FirstFailure => _failure is null ? "" : $"; first: {_failure}";

    public ConcurrentQueue<Pull> Images { get; } = new();

    /// <param name="meanwhile">Acts on the servers; it can ask whether the time is over.</param>
    public static Load Run(Upstream upstream, int port, TimeSpan time, Action<Func<bool>> meanwhile)
    {
        var load = new Load();
        var started = Stopwatch.GetTimestamp();
        bool IsOver() => Stopwatch.GetElapsedTime(started) > time;
        load.Images.Enqueue(new Pull(upstream, 1, LayerSize));
        var disturbing = new Thread(() => meanwhile(IsOver));
        disturbing.Start();
        // Continue until the last action on the servers has ended, too.
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
            // Every client pulls the newest image, as in a real fleet, and one other image.
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
