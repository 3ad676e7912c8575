
namespace Mirror.Bench.Benchmarks;

/// <summary>The peak memory of a server with many clients on one cold blob.</summary>
internal static class Memory
{
    public static void Run(Effort effort)
    {
        var scale = effort.IsFull ? 1 : 4;
        Measure(50, (1L << 30) / scale);
        Measure(200, (256L << 20) / scale);
    }

    private static void Measure(int clients, long size)
    {
        var table = new Table($"{clients} clients at once, one cold blob of {size >> 20} MiB",
            "", "peak MiB", "seconds", "server CPU s", "clients served", "upstream bytes over blob bytes");
        using var upstream = new Upstream();
        foreach (var peer in Peer.All.Where(peer => peer != Peer.NginxStatic && peer.Missing is null))
        {
            using var server = ServerProcess.Start(peer, upstream.Port);
            var before = upstream.BlobBytes;
            var (replies, seconds) = Client.Crowd(server.Port, clients, Image.BlobPath(upstream.Add(new Blob(size)).Digest));
            table.Row(peer.Name, $"{server.PeakMiB:F0}", $"{seconds:F1}", $"{server.CpuSeconds:F1}",
                $"{replies.Count(reply => reply.Status == 200 && reply.Bytes == size)}",
                $"{(double)(upstream.BlobBytes - before) / size:F2}");
        }
    }
}
