using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Push;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>A large download or upload was interrupted by a kill: what is there already is neither fetched nor waited for again.</summary>
public sealed class LargeSpoolTests : MirrorOfHub
{
    private const int Size = 100 << 20, Kept = 80 << 20;

    [Theory]
    [InlineData("a part")]
    [InlineData("all")]
    public async Task Bytes_flow_while_a_spool_without_a_checkpoint_is_hashed(string what)
    {
        var size = Figures.Full ? 20L << 30 : 256L << 20;
        var blob = Hub.AddBlob(Repository, new Zeros(size));
        var kept = what == "all" ? size : size - (1 << 20);
        await Mirror.KillAsync();
        var spool = Path.Combine(Mirror.Root, RegistryLayout.Fill(blob.Digest));
        Directory.CreateDirectory(Path.GetDirectoryName(spool)!);
        using (var file = File.OpenHandle(spool, FileMode.Create, FileAccess.Write))
            RandomAccess.SetLength(file, kept);
        await Mirror.StartAgainAsync();
        // The first request of a process takes longer, whatever it asks for.
        Assert.True((await ReadAsync(Hub.AddBlob(Repository, HubBlob.Seeded(9, 1 << 20)), 0)).Right);
        Hub.Log.Clear();

        var whole = ReadAsync(blob, 0);
        // A client that had most of it before the kill.
        var rest = ReadAsync(blob, size - (8 << 20));
        foreach (var (first, longest, right) in await Task.WhenAll(whole, rest))
        {
            Assert.True(right);
            Figures.Report(string.Create(
                CultureInfo.InvariantCulture,
                $"{size >> 20} MiB, spool with {what}: first {first.TotalSeconds:0.00} s, longest pause {longest.TotalSeconds:0.0} s"));
            if (Figures.Full)
                Assert.True(first < TimeSpan.FromSeconds(1) && longest < TimeSpan.FromSeconds(5), $"{first}, {longest}");
        }
        await Mirror.UntilStoredAsync(BlobPath(blob.Digest));
        Assert.Equal(size - kept, Hub.Log.BodyBytes(blob.Digest));
    }

    [Theory]
    [InlineData("intact")]
    [InlineData("checkpoint is torn")]
    [LongData("checkpoint is changed")]
    [LongData("spool is shorter")]
    [InlineData("spool is changed")]
    public async Task A_killed_download_goes_on_from_its_checkpoint_and_stores_nothing_wrong(string what)
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(7, Size));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(Kept, gate));
        var spool = Path.Combine(Mirror.Root, RegistryLayout.Fill(blob.Digest));
        using (await Mirror.GetAsync(BlobPath(blob.Digest)))
        {
            await Until.TrueAsync(() => File.Exists(spool + ".hash"), () => "There is no checkpoint.");
            await Until.TrueAsync(() => new FileInfo(spool).Length >= Kept, () => "The download does not progress.");
            await Mirror.KillAsync();
        }
        gate.Open();
        var (path, at, length) = what switch
        {
            "checkpoint is torn" => (spool + ".hash", -1, 100),
            "checkpoint is changed" => (spool + ".hash", 70, -1),
            "spool is shorter" => (spool, -1, 10 << 20),
            "spool is changed" => (spool, 1000, -1),
            _ => (spool, -1, -1),
        };
        using (var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite))
        {
            if (length >= 0)
                RandomAccess.SetLength(file, length);
            if (at >= 0)
            {
                var one = new byte[1];
                RandomAccess.Read(file, one, at);
                RandomAccess.Write(file, [(byte)~one[0]], at);
            }
        }
        await Mirror.StartAgainAsync();
        Hub.Log.Clear();

        if (what == "spool is changed")
            // The client that is served from it notices by the digest. It must not last longer than that.
            await Until.TrueAsync(async () => (await ReadAsync(blob, 0)).Right, () => string.Join('\n', Mirror.Log));
        else
        {
            Assert.True((await ReadAsync(blob, 0)).Right);
            Assert.Equal(Size - (length > 1000 ? length : Kept), Hub.Log.BodyBytes(blob.Digest));
        }
        await Mirror.UntilStoredAsync(BlobPath(blob.Digest));
        Assert.True((await ReadAsync(blob, 0)).Right);
        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(spool)!));
        var (code, output) = await Mirror.RunAsync("verify");
        Assert.True(code == 0, output);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_killed_upload_goes_on_from_its_checkpoint_and_stores_nothing_wrong(bool isChanged)
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        var repository = new PushedRepository(mirror, "a/b");
        var blob = HubBlob.Seeded(8, Size);
        var location = await repository.BeginAsync();
        using (var patched = await repository.SendAsync("PATCH", location, blob.Slice(0, Kept)))
            Assert.Equal(HttpStatusCode.Accepted, patched.StatusCode);
        var folder = Path.Combine(mirror.Root, RegistryLayout.Uploads(RepositoryName.Parse("a/b")));
        await Until.TrueAsync(
            () => Directory.GetFiles(folder, "data.hash", SearchOption.AllDirectories).Length == 1, () => "There is no checkpoint.");
        await mirror.KillAsync();
        if (isChanged)
            using (var file = File.OpenHandle(
                Directory.GetFiles(folder, "data", SearchOption.AllDirectories).Single(), FileMode.Open, FileAccess.ReadWrite))
                RandomAccess.Write(file, [(byte)~blob.Slice(1000, 1001)[0]], 1000);
        await mirror.StartAgainAsync();
        using (var patched = await repository.SendAsync(
            "PATCH", location, blob.Slice(Kept, Size), null, ("Content-Range", $"{Kept}-{Size - 1}")))
            Assert.Equal(HttpStatusCode.Accepted, patched.StatusCode);
        using (var put = await repository.SendAsync("PUT", $"{location}?digest={blob.Digest}"))
            if (isChanged)
                await PushedRepository.AssertErrorAsync(put, 400, "DIGEST_INVALID");
            else
                Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        if (isChanged)
            Assert.Equal(HttpStatusCode.NotFound, await repository.StatusOfAsync("HEAD", $"blobs/{blob.Digest}"));
        else
            Assert.Equal(blob.Digest, Digest.Of(await repository.BytesAsync($"blobs/{blob.Digest}")));
        Assert.Empty(Directory.GetDirectories(folder));
    }

    private async Task<(TimeSpan First, TimeSpan Longest, bool Right)> ReadAsync(HubBlob blob, long from)
    {
        var (started, last, longest, first) = (Stopwatch.GetTimestamp(), Stopwatch.GetTimestamp(), TimeSpan.Zero, TimeSpan.Zero);
        using var response = await Mirror.GetAsync(BlobPath(blob.Digest), from == 0 ? [] : [("Range", $"bytes={from}-")]);
        if (!response.IsSuccessStatusCode)
            return default;
        await using var body = await response.Content.ReadAsStreamAsync(Cancel);
        var (buffer, expected) = (new byte[256 * 1024], new byte[256 * 1024]);
        var offset = from;
        var right = true;
        while (await ReadAsync(body, buffer) is > 0 and var read)
        {
            if (offset == from)
                first = Stopwatch.GetElapsedTime(started);
            longest = Stopwatch.GetElapsedTime(last) is var pause && pause > longest ? pause : longest;
            blob.Read(offset, expected.AsSpan(0, read));
            right &= buffer.AsSpan(0, read).SequenceEqual(expected.AsSpan(0, read));
            offset += read;
            last = Stopwatch.GetTimestamp();
        }
        return (first, longest, right && offset == blob.Size);
    }

    // Zero where the server has cut the connection, too: the body is then too short.
    private static async Task<int> ReadAsync(Stream body, byte[] buffer)
    {
        try
        {
            return await body.ReadAsync(buffer, Cancel);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private sealed class Zeros(long size) : HubBlob
    {
        private readonly Lazy<Digest> _digest = new(() =>
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            var zeros = new byte[1 << 20];
            for (var left = size; left > 0; left -= zeros.Length)
                hash.AppendData(zeros, 0, (int)Math.Min(left, zeros.Length));
            return Digest.FromHash("sha256", hash.GetCurrentHash());
        });

        public override Digest Digest => _digest.Value;

        public override long Size => size;

        public override void Read(long offset, Span<byte> buffer) => buffer.Clear();
    }
}
