using System.Security.Cryptography;
using System.Text;
using Mirror.Storage;

namespace Mirror.Bench.Benchmarks;

/// <summary>The warm figures and the start again, with much stored beside what is asked for: cost must not grow.</summary>
internal static class Growth
{
    private const int Tags = 100_000;

    private static readonly RepositoryName Name = RepositoryName.Parse(Image.Repository);

    public static void Run(Effort effort)
    {
        if (Wrk.Missing is { } reason)
        {
            Console.WriteLine($"\ngrowth is left out: {reason}.");
            return;
        }
        (int Blobs, int Tags)[] steps = [(1_000, 100), (100_000, Tags), .. effort.IsFull ? [(1_000_000, Tags)] : Array.Empty<(int, int)>()];
        var table = new Table("With much stored beside it", "blobs, tags", "", "manifests by tag/s", "by digest/s", "blob GB/s", "start ms", "idle MiB");
        foreach (var (blobs, tags) in steps)
        {
            var storage = Directory.CreateTempSubdirectory("mirror-bench-");
            try
            {
                Fill(storage.FullName, blobs, tags);
                Measure(effort, table, storage.FullName, $"{blobs:N0}, {tags:N0}");
            }
            finally
            {
                storage.Delete(recursive: true);
            }
        }
    }

    private static void Measure(Effort effort, Table table, string storage, string step)
    {
        using var upstream = new Upstream();
        upstream.Add("latest", Image.Manifest);
        var blob = upstream.Add(new Blob(64 << 20));
        Peer[] peers = [.. ((Peer[])[Peer.Mirror, Peer.RegistryTwo]).Where(peer => peer.Missing is null)];
        var starts = peers.ToDictionary(peer => peer, _ => new List<double>());
        for (var round = 0; round < 5; round++)
            foreach (var peer in peers)
                using (var server = ServerProcess.Start(peer, upstream.Port, storage))
                    starts[peer].Add(server.StartSeconds);
        foreach (var peer in peers)
        {
            using var server = ServerProcess.Start(peer, upstream.Port, storage);
            var idle = server.ResidentMiB;
            var rates = new List<double>();
            foreach (var reference in (string[])["latest", Digest.Of(Image.Manifest).ToString()])
            {
                var path = Image.ManifestPath(reference);
                Wrk.Run(server, path, effort.WrkSeconds);
                rates.Add(Table.Median(Enumerable.Range(0, effort.Rounds).Select(_ => Wrk.Run(server, path, effort.WrkSeconds).PerSecond)));
            }
            Client.Crowd(server.Port, 4, Image.BlobPath(blob.Digest));
            var speed = Table.Median(Enumerable.Range(0, effort.Rounds).Select(_ =>
            {
                var (replies, seconds) = Client.Crowd(server.Port, 4, Image.BlobPath(blob.Digest), rounds: 8);
                return replies.Sum(reply => reply.Bytes) / seconds / 1e9;
            }));
            table.Row(step, peer.Name, $"{rates[0]:N0}", $"{rates[1]:N0}", $"{speed:F2}", $"{Table.Median(starts[peer]) * 1e3:F0}", $"{idle:F0}");
        }
    }

    // registry:2's layout, with the same small content in every file.
    private static void Fill(string root, int blobs, int tags)
    {
        var manifest = Digest.Of(Image.Manifest);
        Write(root, RegistryLayout.BlobData(manifest), Image.Manifest);
        Write(root, RegistryLayout.RevisionLink(Name, manifest), Encoding.ASCII.GetBytes(manifest.ToString()));
        for (var i = 0; i < blobs; i++)
        {
            var digest = Digest.FromHash("sha256", SHA256.HashData(BitConverter.GetBytes(i)));
            Write(root, RegistryLayout.BlobData(digest), [0]);
            Write(root, RegistryLayout.LayerLink(Name, digest), Encoding.ASCII.GetBytes(digest.ToString()));
        }
        for (var i = 0; i < tags; i++)
        {
            Write(root, RegistryLayout.TagCurrent(Name, $"v{i}"), Encoding.ASCII.GetBytes(manifest.ToString()));
            Write(root, RegistryLayout.TagIndex(Name, $"v{i}", manifest), Encoding.ASCII.GetBytes(manifest.ToString()));
        }
    }

    private static void Write(string root, string path, byte[] bytes)
    {
        var file = Path.Combine(root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllBytes(file, bytes);
    }
}
