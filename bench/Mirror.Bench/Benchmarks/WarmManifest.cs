using Mirror.Storage;

namespace Mirror.Bench.Benchmarks;

/// <summary>A manifest that is stored already, by tag and by digest.</summary>
internal static class WarmManifest
{
    public static void Run(Effort effort)
    {
        if (Wrk.Missing is { } reason)
        {
            Console.WriteLine($"\nmanifest is left out: {reason}.");
            return;
        }
        using var upstream = new Upstream();
        upstream.Add("latest", Image.Manifest);
        var servers = ServerProcess.StartAll(upstream.Port, Peer.All);
        foreach (var reference in (string[])["latest", Digest.Of(Image.Manifest).ToString()])
            Measure(effort, upstream, servers, reference);
        foreach (var server in servers)
            server.Dispose();
    }

    private static void Measure(Effort effort, Upstream upstream, ServerProcess[] servers, string reference)
    {
        var path = Image.ManifestPath(reference);
        foreach (var server in servers)
        {
            var file = server.ContentFile(path);
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllBytes(file, Image.Manifest);
            Wrk.Run(server, path, effort.WrkSeconds);
        }
        var rounds = servers.ToDictionary(server => server, _ => new List<Wrk>());
        var asked = servers.ToDictionary(server => server, _ => 0L);
        for (var round = 0; round < effort.Rounds; round++)
            foreach (var server in servers)
            {
                var before = upstream.Requests;
                rounds[server].Add(Wrk.Run(server, path, effort.WrkSeconds));
                asked[server] += upstream.Requests - before;
            }

        var by = reference.Contains(':') ? "digest" : "tag";
        var limit = rounds.FirstOrDefault(server => server.Key.Peer == Peer.NginxStatic).Value is { } nginx
            ? Table.Median(nginx.Select(run => run.PerSecond))
            : double.NaN;
        var table = new Table($"Manifest by {by}, warm, {Image.Manifest.Length} bytes, wrk -t1 -c32",
            "", "requests/s", "over nginx static", "server CPU µs each", "median ms", "p99 ms", "upstream requests");
        foreach (var (server, runs) in rounds)
        {
            var rate = Table.Median(runs.Select(run => run.PerSecond));
            table.Row(server.Peer.Name, $"{rate:N0}{(runs.Exists(run => run.Failed) ? " (with errors)" : "")}", $"{rate / limit:F2}",
                $"{Table.Median(runs.Select(run => run.CpuMicroseconds)):F1}", $"{Table.Median(runs.Select(run => run.Median)):F2}",
                $"{Table.Median(runs.Select(run => run.Slowest)):F2}", server.Peer == Peer.NginxStatic ? "" : $"{asked[server]:N0}");
        }
    }
}
