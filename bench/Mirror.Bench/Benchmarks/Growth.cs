using System.Security.Cryptography;
using System.Text;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Bench.Benchmarks;

/// <summary>The warm figures and the start, with much other content in the store: the cost must not grow with it.</summary>
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
        (int Blobs, int Tags)[] sizes = [(1_000, 100), (100_000, Tags), .. effort.IsFull ? [(1_000_000, Tags)] : Array.Empty<(int, int)>()];
        var folder = Directory.CreateTempSubdirectory("mirror-bench-");
        try
        {
            Measure(effort, [.. sizes.Select(size =>
            {
                var storage = Path.Combine(folder.FullName, $"{size.Blobs}");
                Fill(storage, size.Blobs, size.Tags);
                return ($"{size.Blobs:N0}, {size.Tags:N0}", storage);
            })]);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    // The servers over every size take turns, so that a noisy moment affects all of them.
    private static void Measure(Effort effort, (string Size, string Storage)[] stores)
    {
        using var upstream = new Upstream();
        upstream.Add("latest", Image.Manifest);
        var blob = Image.BlobPath(upstream.Add(new Blob(64 << 20)).Digest);
        var manifest = Digest.Of(Image.Manifest);
        Subject[] subjects =
        [
            .. from peer in Peer.MirrorAnd(Peer.RegistryTwo)
               where peer.Missing is null
               from store in stores
               select new Subject(peer, store.Size, store.Storage),
        ];

        for (var round = 0; round < effort.Rounds + 2; round++)
            foreach (var subject in subjects)
                using (var server = ServerProcess.Start(subject.Peer, upstream.Port, subject.Storage))
                    subject.Starts.Add(server.StartSeconds);

        var servers = subjects.ToDictionary(
            subject => subject, subject => ServerProcess.Start(subject.Peer, upstream.Port, subject.Storage));
        try
        {
            foreach (var (subject, server) in servers)
                subject.IdleMiB = server.ResidentMiB;
            // The first round warms up.
            for (var round = 0; round <= effort.Rounds; round++)
                foreach (var (subject, server) in servers)
                {
                    var byTag = Wrk.Run(server, Image.ManifestPath("latest"), effort.WrkSeconds).PerSecond;
                    var byDigest = Wrk.Run(server, Image.ManifestPath(manifest.ToString()), effort.WrkSeconds).PerSecond;
                    var (replies, seconds) = Client.Crowd(server.Port, 4, blob, rounds: 8);
                    if (round == 0)
                        continue;
                    subject.ByTag.Add(byTag);
                    subject.ByDigest.Add(byDigest);
                    subject.Blobs.Add(replies.Sum(reply => reply.Bytes) / seconds / 1e9);
                }
        }
        finally
        {
            foreach (var server in servers.Values)
                server.Dispose();
        }

        var table = new Table("With much stored beside it",
            "blobs, tags", "", "manifests by tag/s", "by digest/s", "blob GB/s", "start ms", "idle MiB");
        foreach (var subject in subjects)
            table.Row(subject.Size, subject.Peer.Name,
                $"{Table.Median(subject.ByTag):N0}", $"{Table.Median(subject.ByDigest):N0}", $"{Table.Median(subject.Blobs):F2}",
                $"{Table.Median(subject.Starts) * 1e3:F0}", $"{subject.IdleMiB:F0}");
        foreach (var peer in subjects.GroupBy(subject => subject.Peer))
        {
            var (smallest, largest) = (peer.First(), peer.Last());
            table.Row("smallest over largest", peer.Key.Name,
                Ratio(smallest.ByTag, largest.ByTag), Ratio(smallest.ByDigest, largest.ByDigest), Ratio(smallest.Blobs, largest.Blobs),
                Ratio(largest.Starts, smallest.Starts), "");
        }
    }

    private static string Ratio(List<double> some, List<double> others) => $"{Table.Median(some) / Table.Median(others):F2}";

    private sealed record Subject(Peer Peer, string Size, string Storage)
    {
        public List<double> Starts { get; } = [];

        public List<double> ByTag { get; } = [];

        public List<double> ByDigest { get; } = [];

        public List<double> Blobs { get; } = [];

        public double IdleMiB { get; set; }
    }

    // registry:2's layout, with the same small content in every file.
    private static void Fill(string root, int blobs, int tags)
    {
        var manifest = Digest.Of(Image.Manifest);
        Write(root, RegistryLayout.BlobData(manifest), Image.Manifest);
        Write(root, RegistryLayout.RevisionLink(Name, manifest), Encoding.ASCII.GetBytes(manifest.ToString()));
        Parallel.For(0, blobs, i =>
        {
            var digest = Digest.FromHash("sha256", SHA256.HashData(BitConverter.GetBytes(i)));
            Write(root, RegistryLayout.BlobData(digest), [0]);
            Write(root, RegistryLayout.LayerLink(Name, digest), Encoding.ASCII.GetBytes(digest.ToString()));
        });
        Parallel.For(0, tags, i =>
        {
            Write(root, RegistryLayout.TagCurrent(Name, $"v{i}"), Encoding.ASCII.GetBytes(manifest.ToString()));
            Write(root, RegistryLayout.TagIndex(Name, $"v{i}", manifest), Encoding.ASCII.GetBytes(manifest.ToString()));
        });
    }

    private static void Write(string root, string path, byte[] bytes)
    {
        var file = Path.Combine(root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllBytes(file, bytes);
    }
}
