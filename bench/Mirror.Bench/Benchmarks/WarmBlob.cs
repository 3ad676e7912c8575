
namespace Mirror.Bench.Benchmarks;

/// <summary>A blob that is stored already.</summary>
internal static class WarmBlob
{
    private const int Clients = 4;

    public static void Run(Effort effort) => Run(effort, Peer.All, "");

    public static void RunOverTls(Effort effort) => Run(effort, Peer.OverTls, " over TLS");

    private static void Run(Effort effort, Peer[] peers, string how)
    {
        var each = effort.IsFull ? 8 : 4;
        using var upstream = new Upstream();
        var blob = upstream.Add(new Blob(256 << 20));
        var path = Image.BlobPath(blob.Digest);
        var servers = ServerProcess.StartAll(upstream.Port, peers);
        foreach (var server in servers)
        {
            if (server.Peer.Name == Peer.NginxStatic.Name)
                blob.WriteTo(server.ContentFile(path));
            Client.Crowd(server.Port, 1, path, tls: server.Peer.IsTls);
            Client.Crowd(server.Port, Clients, path, tls: server.Peer.IsTls);
        }
        var rounds = servers.ToDictionary(server => server, _ => new List<(double Rate, double Cpu)>());
        for (var round = 0; round < effort.Rounds; round++)
            foreach (var server in servers)
            {
                var before = server.CpuSeconds;
                var (replies, seconds) = Client.Crowd(server.Port, Clients, path, each, server.Peer.IsTls);
                var bytes = replies.Sum(reply => reply.Bytes);
                rounds[server].Add((bytes / seconds / 1e9, (server.CpuSeconds - before) / bytes * (1 << 30)));
            }

        var table = new Table($"Blob of 256 MiB, warm{how}, {Clients} connections, each {each} times",
            "", "GB/s", "over nginx static", "server CPU s per GiB", "over nginx static", "peak MiB");
        var limit = rounds.FirstOrDefault(server => server.Key.Peer.Name == Peer.NginxStatic.Name).Value;
        foreach (var (server, runs) in rounds)
        {
            var (rate, cpu) = (Table.Median(runs.Select(run => run.Rate)), Table.Median(runs.Select(run => run.Cpu)));
            table.Row(server.Peer.Name, $"{rate:F2}", $"{rate / Table.Median(limit?.Select(run => run.Rate) ?? []):F2}",
                $"{cpu:F3}", $"{cpu / Table.Median(limit?.Select(run => run.Cpu) ?? []):F2}", $"{server.PeakMiB:F0}");
        }
        foreach (var server in servers)
            server.Dispose();
    }
}
