using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Bench.Benchmarks;

/// <summary>A blob that no server has stored: the cost of the request through the mirror, compared with one to upstream.</summary>
internal static class ColdBlob
{
    private const int Size = 128 << 20;

    private static readonly Peer[] Caches = Peer.MirrorAnd(Peer.RegistryTwo, Peer.NginxCache);

    public static void Run(Effort effort)
    {
        Machine.TouchMemory(6L << 30);
        Unthrottled(effort);
        Throttled(effort);
        FirstByte(effort);
    }

    // A real registry as upstream, so that the comparison is with a real upstream.
    private static void Unthrottled(Effort effort)
    {
        if (Peer.RegistryTwoAsUpstream.Missing is { } reason)
        {
            Console.WriteLine($"\nThe cold blob without a throttle is left out: {reason}.");
            return;
        }
        var storage = Directory.CreateTempSubdirectory("mirror-bench-");
        try
        {
            using var upstream = ServerProcess.Start(Peer.RegistryTwoAsUpstream, 0, storage.FullName);
            const string Title = "Cold blob of 128 MiB, loopback without a throttle, docker-registry 2.8.2 as upstream";
            Measure(Title, upstream.Port, effort.Rounds * 2 + 1, () =>
            {
                var blob = new Blob(Size);
                blob.WriteTo(Path.Combine(storage.FullName, RegistryLayout.BlobData(blob.Digest)));
                var link = Path.Combine(storage.FullName, RegistryLayout.LayerLink(RepositoryName.Parse(Image.Repository), blob.Digest));
                Directory.CreateDirectory(Path.GetDirectoryName(link)!);
                File.WriteAllText(link, blob.Digest.ToString());
                return blob.Digest;
            });
        }
        finally
        {
            storage.Delete(recursive: true);
        }
    }

    private static void Throttled(Effort effort)
    {
        using var upstream = new Upstream(new Link(100 << 20));
        Measure("Cold blob of 128 MiB, link of 100 MiB/s", upstream.Port, effort.IsFull ? 5 : 3, () => upstream.Add(new Blob(Size)).Digest);
    }

    private static void FirstByte(Effort effort)
    {
        using var upstream = new Upstream();
        Measure("First byte of a cold blob of 4 MiB", upstream.Port, effort.IsFull ? 61 : 21, () => upstream.Add(new Blob(4 << 20)).Digest);
    }

    private static void Measure(string title, int upstreamPort, int rounds, Func<Digest> newBlob)
    {
        var servers = ServerProcess.StartAll(upstreamPort, Caches);
        var direct = new List<Reply>();
        var through = servers.ToDictionary(server => server, _ => new List<(Reply Reply, double Cpu)>());
        // The first round warms up.
        for (var round = 0; round <= rounds; round++)
        {
            var path = Image.BlobPath(newBlob());
            Client.Crowd(upstreamPort, 1, path);
            var reply = Client.Crowd(upstreamPort, 1, path).Replies[0];
            if (round > 0)
                direct.Add(reply);
            foreach (var server in servers)
            {
                var before = server.CpuSeconds;
                reply = Client.Crowd(server.Port, 1, path).Replies[0];
                server.Settle();
                if (round > 0)
                    through[server].Add((reply, server.CpuSeconds - before));
            }
        }

        var table = new Table(title, "", "seconds", "over upstream", "first byte ms", "server CPU s");
        var alone = Table.Median(direct.Select(reply => reply.Seconds));
        table.Row("upstream itself", $"{alone:F3}", "1.00", $"{Table.Median(direct.Select(reply => reply.FirstByte)) * 1e3:F1}", "");
        foreach (var (server, runs) in through)
        {
            var seconds = Table.Median(runs.Select(run => run.Reply.Seconds));
            table.Row(server.Peer.Name, $"{seconds:F3}", $"{seconds / alone:F2}",
                $"{Table.Median(runs.Select(run => run.Reply.FirstByte)) * 1e3:F1}",
                $"{Table.Median(runs.Select(run => run.Cpu)):F2}");
        }
        foreach (var server in servers)
            server.Dispose();
    }
}
