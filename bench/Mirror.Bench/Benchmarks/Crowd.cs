
namespace Mirror.Bench.Benchmarks;

/// <summary>
/// Many clients request one cold blob at the same time, over a link that carries one copy. HEAD and Range follow; they must not cost a
/// whole blob.
/// </summary>
internal static class Crowd
{
    private const int Clients = 20;
    private const int Rate = 50 << 20;
    private const int Size = 64 << 20;

    public static void Run(Effort effort)
    {
        using var upstream = new Upstream(new Link(Rate));
        const double Limit = (double)Size / Rate;
        var table = new Table(
            $"{Clients} clients at once, one cold blob of 64 MiB, link of 50 MiB/s in all (its own limit: {Limit:F2} s)",
            "", "upstream bytes over blob bytes", "seconds until all have it", "clients served",
            "HEAD, cold: upstream bytes", "Range of 1000 bytes, cold", "seconds");
        foreach (var peer in Peer.All.Where(peer => peer != Peer.NginxStatic && peer.Missing is null))
        {
            using var server = ServerProcess.Start(peer, upstream.Port);
            var path = Image.BlobPath(upstream.Add(new Blob(Size)).Digest);
            var before = upstream.BlobBytes;
            var (replies, seconds) = Client.Crowd(server.Port, Clients, path);
            var bytes = Settle(upstream) - before;

            using var client = new Client(server.Port);
            before = upstream.BlobBytes;
            var head = client.Ask(Image.BlobPath(upstream.Add(new Blob(Size)).Digest), "HEAD");
            var headBytes = Settle(upstream) - before;
            var range = client.Ask(Image.BlobPath(upstream.Add(new Blob(Size)).Digest), headers: "Range: bytes=1000-1999\r\n");
            var served = replies.Count(reply => reply.Status == 200 && reply.Bytes == Size);
            table.Row(peer.Name, $"{(double)bytes / Size:F2}", $"{seconds:F2}", $"{served}",
                $"{head.Status}: {headBytes:N0}", $"{range.Status}: {range.Bytes:N0} bytes", $"{range.Seconds:F2}");
            Settle(upstream);
        }
    }

    // Wait until upstream sends nothing more: a server may continue a download without its client.
    private static long Settle(Upstream upstream)
    {
        long before;
        do
        {
            before = upstream.BlobBytes;
            Thread.Sleep(300);
        }
        while (upstream.BlobBytes != before);
        return before;
    }
}
