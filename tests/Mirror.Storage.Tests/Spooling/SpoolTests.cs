using Mirror.Storage.Spooling;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.Spooling;

/// <summary>A spool whose fill failed, and the spool that goes on after it.</summary>
public sealed class SpoolTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_later_spool_goes_on_while_a_slow_reader_of_the_failed_one_still_reads()
    {
        var bytes = Bytes(3 << 20, seed: 1);
        var half = bytes.Length / 2;
        using var failed = Spool.Open(_folder["spool"], "sha256");
        failed.ExpectedLength = bytes.Length;
        failed.Append(bytes.AsSpan(0, half));
        await using var slow = failed.OpenRead();
        var buffer = new byte[1000];
        Assert.Equal(buffer.Length, await slow.ReadAsync(0, buffer, Cancel));
        failed.Fail(new IOException("upstream is away"));
        failed.Release();

        using var next = Spool.OpenOrPrivate(_folder["spool"], "sha256");
        Assert.True(next.IsResumable);
        Assert.Equal(half, next.Length);
        next.Append(bytes.AsSpan(half));
        Assert.True(await next.VerifyAsync(Digest.Of(bytes), Cancel));

        // The slow one gets what there was, and then learns that the rest did not come.
        Assert.Equal(buffer.Length, await slow.ReadAsync(half - 1000, buffer, Cancel));
        Assert.Equal(bytes[(half - 1000)..half], buffer);
        await Assert.ThrowsAsync<IOException>(async () => await slow.ReadAsync(half, buffer, Cancel));
        failed.Dispose();
        Assert.True(await next.VerifyAsync(Digest.Of(bytes), Cancel));
        Assert.Equal(bytes.Length, new FileInfo(_folder["spool"]).Length);
    }

    [Fact]
    public async Task A_reader_of_the_failed_spool_learns_when_the_later_one_began_again()
    {
        using var failed = Spool.Open(_folder["spool"], "sha256");
        failed.Append(Bytes(100_000, seed: 1));
        await using var slow = failed.OpenRead();
        failed.Fail(new IOException("upstream is away"));
        failed.Release();
        using var next = Spool.Open(_folder["spool"], "sha256");
        next.Reset();
        await Assert.ThrowsAsync<IOException>(async () => await slow.ReadAsync(50_000, new byte[10], Cancel));
    }

    [Fact]
    public async Task Bytes_that_are_dropped_while_they_are_hashed_do_not_count()
    {
        var right = Bytes(2 << 20, seed: 2);
        for (var i = 0; i < 5; i++)
        {
            File.WriteAllBytes(_folder["spool"], Bytes(8 << 20, seed: 1));
            using var spool = Spool.Open(_folder["spool"], "sha256");
            spool.Continue();
            spool.Reset();
            spool.Append(right);
            Assert.True(await spool.VerifyAsync(Digest.Of(right), Cancel));
        }
    }

    private static byte[] Bytes(int count, int seed)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
