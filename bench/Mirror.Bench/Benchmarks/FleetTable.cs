using System.Diagnostics;
using Mirror.Bench.Fleet;

namespace Mirror.Bench.Benchmarks;

/// <summary>The promises of three replicas over one bucket and one Redis, behind nginx: required and measured figures.</summary>
internal static class FleetTable
{
    private const int Clients = 60;
    private const int Layers = 5;
    private const int Rate = 50 << 20;

    public static void Run(Effort effort)
    {
        if (Stack.Missing is { } reason)
        {
            Console.WriteLine($"\nThe fleet is left out: {reason}.");
            return;
        }
        var imageSize = effort.IsFull ? 256 << 20 : 64 << 20;
        using var upstream = new Upstream(new Link(Rate));
        using var stack = new Stack(upstream.Port);
        // Warm up the replicas with a crowd, because real replicas live longer than a benchmark.
        foreach (var _ in Enumerable.Range(0, 3))
            CrossKeyRules(new Pull(upstream, Layers, 11 << 20), stack.Port, 0, () => { });

        var table = new Table(
            $"Three replicas, radosgw, Redis, behind nginx; {Clients} clients at once, "
            + $"image of {Layers} layers and {imageSize >> 20} MiB, link of 50 MiB/s",
            "test", "figure", "required", "seen");
        Crowd(table, upstream, stack, imageSize);
        Killed(table, upstream, stack, imageSize);
        // The next figures do not measure bytes over the link, so the link is wider.
        upstream.Widen(20 * Rate);
        RollingRestart(table, upstream, stack, TimeSpan.FromSeconds(effort.IsFull ? 300 : 30));
        RedisComesAndGoes(table, upstream, stack, TimeSpan.FromSeconds(effort.IsFull ? 300 : 40));
    }

    private static void Crowd(Table table, Upstream upstream, Stack stack, int imageSize)
    {
        var image = new Pull(upstream, Layers, imageSize / Layers);
        var before = upstream.BlobBytes;
        var (results, slowest, failure) = CrossKeyRules(image, stack.Port, retries: 0, () => { });
        var limit = (double)image.Bytes / Rate;
        const string Test = "60 clients at once, cold";
        table.Row(Test, "upstream bytes over the image's", "<= 1.01", $"{(double)(upstream.BlobBytes - before) / image.Bytes:F3}");
        table.Row(Test, "GETs upstream for each blob, at most", "1", $"{image.Layers.Max(layer => upstream.Gets(layer.Digest))}");
        table.Row(Test, "GETs upstream for the manifest by digest", $"<= {Stack.Size}", $"{upstream.Gets(image.ManifestDigest)}");
        table.Row(Test, "clients with every byte right", $"{Clients}", $"{results.Count(failed => failed == 0)}{failure}");
        table.Row(Test, "slowest client over the link's limit", "<= 1.30", $"{slowest / limit:F2} ({slowest:F1} s over {limit:F1} s)");

        // The machine's own speed with as many bytes: nginx serves files, directly and behind another nginx.
        using var files = ServerProcess.Start(Peer.NginxStatic, 0);
        image.WriteTo(files.ContentFile);
        using var front = ServerProcess.Start(Peer.NginxFront, files.Port);
        table.Row("", "the same bytes, warm, by nginx from files", "", $"{CrossKeyRules(image, files.Port, 0, () => { }).Slowest:F1} s");
        table.Row("", "the same, through another nginx", "", $"{CrossKeyRules(image, front.Port, 0, () => { }).Slowest:F1} s");
    }

    private static void Killed(Table table, Upstream upstream, Stack stack, int imageSize)
    {
        var (failed, wrong, first, seen) = (0, 0, "", new List<string>());
        // Kill each replica in turn: the loss depends on how many of the layers that replica downloads.
        for (var victim = 0; victim < Stack.Size; victim++)
        {
            var image = new Pull(upstream, Layers, imageSize / Layers);
            var before = upstream.BlobBytes;
            var (results, _, failure) = CrossKeyRules(image, stack.Port, retries: 1, () =>
            {
                while (upstream.BlobBytes - before < image.Bytes / 2)
                    Thread.Sleep(5);
                stack.Replicas[victim].Kill();
            });
            failed += results.Sum(result => result ?? 0);
            wrong += results.Count(result => result is null);
            first = first.Length > 0 ? first : failure;
            var again = image.Layers.Count(layer => upstream.Gets(layer.Digest) > 1);
            seen.Add($"{(double)(upstream.BlobBytes - before) / image.Bytes:F2} ({again} layers again)");
            stack.Replicas[victim].Start();
        }
        const string Test = "a replica killed with -9 at half of it, each in turn";
        table.Row(Test, "requests failed after one retry", "0", $"{failed}{first}");
        table.Row(Test, "clients with a wrong byte", "0", $"{wrong}");
        table.Row(Test, "upstream bytes over the image's", "<= 1.30", string.Join(", ", seen));
    }

    private static void RollingRestart(Table table, Upstream upstream, Stack stack, TimeSpan time)
    {
        var restarts = 0;
        var load = Load.Run(upstream, stack.Port, time, ended =>
        {
            for (; !ended(); restarts++)
            {
                stack.Replicas[restarts % Stack.Size].Stop();
                stack.Replicas[restarts % Stack.Size].Start();
                Thread.Sleep(1000);
            }
        });
        var test = $"rolling restart of all three, {time.TotalSeconds:F0} s";
        table.Row(test, "failed requests", "0", $"{load.Failed} of {load.Requests:N0}, {restarts} restarts{load.FirstFailure}");
        table.Row(test, "wrong bytes", "0", $"{load.Wrong}");
    }

    private static void RedisComesAndGoes(Table table, Upstream upstream, Stack stack, TimeSpan time)
    {
        var stops = 0;
        var load = Load.Run(upstream, stack.Port, time, ended =>
        {
            for (; !ended(); stops++)
            {
                stack.Redis.Kill();
                Thread.Sleep(10_000);
                stack.Redis.Start();
                Thread.Sleep(10_000);
            }
        });
        var test = $"Redis stopped and started every 10 s, {time.TotalSeconds:F0} s";
        table.Row(test, "failed requests", "0", $"{load.Failed} of {load.Requests:N0}, {stops} stops{load.FirstFailure}");
        table.Row(test, "wrong bytes", "0", $"{load.Wrong}");
        var gets = load.Images.Max(
            image => Math.Max(upstream.Gets(image.ManifestDigest), image.Layers.Max(layer => upstream.Gets(layer.Digest))));
        table.Row(test, "GETs upstream for an object, at most", $"<= {Stack.Size}", $"{gets} (of {load.Images.Count} images)");
    }

    // All clients at the same time. Returns the first failure as the end of a line.
    private static (int?[] Results, double Slowest, string Failure) CrossKeyRules(Pull image, int port, int retries, Action meanwhile)
    {
        var results = new int?[Clients];
        string? first = null;
        var started = Stopwatch.GetTimestamp();
        Thread[] threads = [.. Enumerable.Range(0, Clients).Select(i => new Thread(
            () => results[i] = image.Run(port, retries, failure => Interlocked.CompareExchange(ref first, failure, null)), 256 * 1024))];
        foreach (var thread in threads)
            thread.Start();
        meanwhile();
        foreach (var thread in threads)
            thread.Join();
        return (results, Stopwatch.GetElapsedTime(started).TotalSeconds, first is null ? "" : $"; first failure: {first}");
    }
}
