using System.Diagnostics;
using System.Net;
using Amazon.S3;
using Amazon.S3.Model;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;

namespace Mirror.Bench.Benchmarks;

/// <summary>
/// A blob in a bucket: through the registry, and by redirect. Both registries have the same bucket, a real radosgw on this machine.
/// </summary>
internal static class BucketBlob
{
    private const int Size = 100 << 20;

    // What each server sends, all connections together, before it is measured: a runtime compiles its busy methods meanwhile, which takes
    // processor time once, and not for each GiB. Then as much is measured in each round: the clock of processes has steps of 10 ms.
    private const int PullsPerRound = 12;

    // The store of the benchmark has 4 GiB, and docker-registry writes each blob twice.
    private const int MaxPushes = 5;

    public static void Run(Effort effort)
    {
        if (Radosgw.Availability.Missing is { } reason)
        {
            Console.WriteLine($"\nThe blob in a bucket is left out: {reason}.");
            return;
        }
        var store = Radosgw.StartAsync().GetAwaiter().GetResult();
        try
        {
            Measure(effort, store);
        }
        finally
        {
            store.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    private static void Measure(Effort effort, Radosgw store)
    {
        var blob = new Blob(Size);
        var path = Image.BlobPath(blob.Digest);
        using var client = store.Client();
        Put(client, blob);

        var redirecting = Start(store, redirects: true);
        Redirected(effort, redirecting, path);
        foreach (var server in redirecting)
            server.Dispose();

        var through = Start(store, redirects: false);
        Pushed(effort, through);
        foreach (var clients in new[] { 1, 4 })
            Through(effort, through, path, clients);
        foreach (var server in through)
            server.Dispose();
    }

    private static void Through(Effort effort, ServerProcess[] servers, string path, int clients)
    {
        foreach (var server in servers)
            Client.Crowd(server.Port, clients, path, PullsPerRound / clients);
        var rounds = servers.ToDictionary(server => server, _ => new List<(double Rate, double Cpu)>());
        for (var round = 0; round < effort.Rounds * 2; round++)
            foreach (var server in round % 2 == 0 ? servers : servers.Reverse())
            {
                var before = server.CpuSeconds;
                var (replies, seconds) = Client.Crowd(server.Port, clients, path, PullsPerRound / clients);
                var bytes = replies.Sum(reply => reply.Bytes);
                rounds[server].Add((bytes / seconds / 1e6, (server.CpuSeconds - before) / bytes * (1 << 30)));
            }
        var table = new Table($"Blob of 100 MiB in a bucket, warm, through the registry, {clients} connection{(clients == 1 ? "" : "s")}",
            "", "MB/s", "over docker-registry", "server CPU s per GiB", "over docker-registry", "peak MiB");
        var (peerRate, peerCpu) = Medians(rounds.LastOrDefault().Value);
        foreach (var (server, runs) in rounds)
        {
            var (rate, cpu) = Medians(runs);
            table.Row(server.Peer.Name, $"{rate:F0}", $"{rate / peerRate:F2}", $"{cpu:F3}", $"{cpu / peerCpu:F2}", $"{server.PeakMiB:F0}");
        }
    }

    private static void Pushed(Effort effort, ServerProcess[] servers)
    {
        var rounds = servers.ToDictionary(server => server, _ => new List<(double Rate, double Cpu)>());
        for (var round = 0; round < MaxPushes; round++)
            foreach (var server in round % 2 == 0 ? servers : servers.Reverse())
            {
                var blob = new Blob(2 * Size);
                server.Settle();
                var (before, started) = (server.CpuSeconds, Stopwatch.GetTimestamp());
                PushAsync(server.Port, blob).GetAwaiter().GetResult();
                var rate = blob.Length / Stopwatch.GetElapsedTime(started).TotalSeconds / 1e6;
                server.Settle();
                rounds[server].Add((rate, (server.CpuSeconds - before) / blob.Length * (1 << 30)));
            }
        var table = new Table("Blob of 200 MiB, pushed to a bucket",
            "", "MB/s", "over docker-registry", "server CPU s per GiB", "over docker-registry", "peak MiB");
        var (peerRate, peerCpu) = Medians(rounds.LastOrDefault().Value);
        foreach (var (server, runs) in rounds)
        {
            var (rate, cpu) = Medians(runs);
            table.Row(server.Peer.Name, $"{rate:F0}", $"{rate / peerRate:F2}", $"{cpu:F3}", $"{cpu / peerCpu:F2}", $"{server.PeakMiB:F0}");
        }
    }

    // As docker does it: the bytes by PATCH, then the digest.
    private static async Task PushAsync(int port, Blob blob)
    {
        using var http = new HttpClient { BaseAddress = new($"http://127.0.0.1:{port}"), Timeout = Timeout.InfiniteTimeSpan };
        using var begun = await http.PostAsync($"/v2/{Image.Repository}/blobs/uploads/", null);
        using var body = new BlobBody(blob);
        using var patched = await http.PatchAsync(begun.Headers.Location, body);
        var location = patched.Headers.Location!.OriginalString;
        using var put = await http.PutAsync($"{location}{(location.Contains('?') ? '&' : '?')}digest={blob.Digest}", null);
        put.EnsureSuccessStatusCode();
    }

    private sealed class BlobBody(Blob blob) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            for (var offset = 0L; offset < blob.Length;)
            {
                var piece = blob.At(offset, blob.Length);
                await stream.WriteAsync(piece);
                offset += piece.Length;
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }

    private static void Redirected(Effort effort, ServerProcess[] servers, string path)
    {
        var table = new Table("Blob in a bucket, by redirect: what the registry itself does", "", "status", "ms", "over docker-registry");
        var rows = servers.Select(server =>
        {
            using var client = new Client(server.Port);
            var status = client.Ask(path).Status;
            List<double> times = [];
            for (var i = 0; i < (effort.IsFull ? 200 : 50); i++)
            {
                var started = Stopwatch.GetTimestamp();
                client.Ask(path);
                times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }
            return (server.Peer.Name, Status: status, Time: Table.Median(times));
        }).ToList();
        foreach (var row in rows)
            table.Row(row.Name, $"{row.Status}", $"{row.Time:F1}", $"{row.Time / rows[^1].Time:F2}");
    }

    private static (double Rate, double Cpu) Medians(List<(double Rate, double Cpu)> runs) =>
        (Table.Median(runs.Select(run => run.Rate)), Table.Median(runs.Select(run => run.Cpu)));

    private static void Put(AmazonS3Client client, Blob blob)
    {
        var file = Path.GetTempFileName();
        try
        {
            blob.WriteTo(file);
            Put(RegistryLayout.BlobData(blob.Digest), new PutObjectRequest { FilePath = file });
            var link = RegistryLayout.LayerLink(RepositoryName.Parse(Image.Repository), blob.Digest);
            Put(link, new PutObjectRequest { ContentBody = blob.Digest.ToString() });
        }
        finally
        {
            File.Delete(file);
        }

        void Put(string path, PutObjectRequest request)
        {
            (request.BucketName, request.Key, request.UseChunkEncoding) = (Radosgw.Bucket, path, false);
            client.PutObjectAsync(request).GetAwaiter().GetResult();
        }
    }

    // Both registries store in the bucket, and mirror nothing.
    private static ServerProcess[] Start(Radosgw store, bool redirects) => ServerProcess.StartAll(
        0, [.. Peer.MirrorAnd(Peer.RegistryTwo).Select(peer => peer.Configured(setup => Configuration(setup, store, redirects)))]);

    private static string Configuration(PeerSetup setup, Radosgw store, bool redirects) => $$"""
        version: 0.1
        log: { level: error, accesslog: { disabled: true } }
        storage:
          s3:
            accesskey: {{Radosgw.AccessKey}}
            secretkey: {{Radosgw.SecretKey}}
            region: us-east-1
            regionendpoint: '{{store.Url.OriginalString}}'
            bucket: {{Radosgw.Bucket}}
            secure: false
            v4auth: true
          cache: { blobdescriptor: inmemory }
          redirect: { disable: {{(redirects ? "false" : "true")}} }
        http: { addr: 127.0.0.1:{{setup.Port}} }
        """;
}
