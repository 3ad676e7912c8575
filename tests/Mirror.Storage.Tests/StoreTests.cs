using System.Security.Cryptography;
using Mirror.Storage.Stores;
using Xunit;

namespace Mirror.Storage.Tests;

/// <summary>What the tests of every store share: the store itself, and bytes to put into it.</summary>
public abstract class StoreTests : IAsyncLifetime
{
    private Stores? _stores;

    protected IContentStore Content => _stores!.Content;

    protected IReferenceStore References => _stores!.References;

    protected IReferrerStore Referrers => _stores!.Referrers;

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _stores = await CreateAsync();

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    /// <summary>The store under test, empty; or skips the test and gives the reason.</summary>
    protected abstract Task<Stores> CreateAsync();

    protected static byte[] Bytes(int length) => RandomNumberGenerator.GetBytes(length);

    protected static RepositoryName Name(string name) => RepositoryName.Parse(name);

    protected static Digest Any(int number) => Digest.Of([(byte)number]);

    /// <summary>Spools, verifies and commits.</summary>
    protected async Task<Digest> StoreAsync(byte[] bytes, string algorithm = "sha256")
    {
        var digest = Digest.Of(bytes, algorithm);
        await using var spool = await Content.SpoolAsync(digest, Cancel);
        foreach (var piece in bytes.Chunk(256 * 1024))
            spool.Append(piece);
        Assert.True(await spool.VerifyAsync(digest, Cancel));
        spool.Complete();
        await Content.CommitAsync(spool, digest, Cancel);
        return digest;
    }

    /// <summary>The bytes of stored content, from an offset on; null where there is none.</summary>
    protected async Task<byte[]?> ReadAsync(Digest digest, long from = 0, long? until = null)
    {
        await using var content = await Content.OpenAsync(digest, Cancel);
        return content is null ? null : await ReadAsync(content, from, until ?? content.Length!.Value);
    }

    protected static async Task<byte[]> ReadAsync(Content content, long from, long until)
    {
        await content.PrepareAsync(from, until, Cancel);
        var bytes = new byte[until - from];
        var filled = 0;
        while (filled < bytes.Length && await content.ReadAsync(from + filled, bytes.AsMemory(filled), Cancel) is > 0 and var read)
            filled += read;
        return bytes[..filled];
    }

    protected static async Task<List<T>> ListAsync<T>(IAsyncEnumerable<T> items)
    {
        List<T> list = [];
        await foreach (var item in items)
            list.Add(item);
        return list;
    }
}
