using Azure.Storage.Blobs.Models;
using Azure.Storage.Blobs.Specialized;
using Microsoft.AspNetCore.Http;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.Azure;

/// <summary>Layers of several parts that <c>registry:2</c> has stored as append blobs. Azure takes no part beside one.</summary>
public sealed class AppendBlobTests : StoreTests
{
    private const int MiB = 1 << 20;

    private readonly AzureStore _store = new();
    private StoreFront _front = null!;
    private volatile bool _refusesParts;

    // Unlike the service, Azurite takes a part beside an append blob, and refuses the list of the parts.
    protected override async Task<Stores> CreateAsync()
    {
        var options = await _store.OptionsAsync();
        _front = await StoreFront.StartAsync(new Uri(options.ServiceUrl!), RefuseAsync);
        _front.Faults.Set(request =>
        {
            _refusesParts &= !HttpMethods.IsDelete(request.Method);
            return _refusesParts && request.Query["comp"] == "block" ? StoreFault.Status(409) : null;
        });
        options.ServiceUrl = $"{_front.Url.GetLeftPart(UriPartial.Authority)}/{Azurite.Account}";
        return _store.Open(options);
    }

    public override async ValueTask DisposeAsync()
    {
        _store.Dispose();
        if (_front is not null)
            await _front.DisposeAsync();
        await base.DisposeAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_intact_one_is_left_as_it_is(bool isFill)
    {
        var bytes = Bytes(12 * MiB);
        var blob = await AppendAsync(Digest.Of(bytes), bytes);
        await CommitAsync(bytes, isFill);
        Assert.Equal(bytes, await ReadAsync(Digest.Of(bytes)));
        Assert.Equal(BlobType.Append, (await blob.GetPropertiesAsync(cancellationToken: Cancel)).Value.BlobType);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task One_of_a_wrong_length_is_replaced(bool isFill)
    {
        var bytes = Bytes(12 * MiB);
        await AppendAsync(Digest.Of(bytes), bytes[..MiB]);
        await CommitAsync(bytes, isFill);
        Assert.Equal(bytes, await ReadAsync(Digest.Of(bytes)));
        Assert.NotEqual(0, _front.Faults.Count);
    }

    [Fact]
    public async Task A_download_that_is_given_up_leaves_one_as_it_is()
    {
        var bytes = Bytes(12 * MiB);
        var blob = await AppendAsync(Digest.Of(bytes), bytes[..MiB]);
        await using (var spool = await Content.SpoolAsync(Digest.Of(bytes), Cancel))
            spool.Append(bytes);
        Assert.Equal(MiB, (await blob.GetPropertiesAsync(cancellationToken: Cancel)).Value.ContentLength);
        Assert.Equal(bytes[..MiB], await ReadAsync(Digest.Of(bytes)));
    }

    private async Task<AppendBlobClient> AppendAsync(Digest digest, byte[] bytes)
    {
        var store = await SharedAzurite.OrSkipAsync();
        var blob = store.Client().GetAppendBlobClient($"{_store.Root}/{RegistryLayout.BlobData(digest)}");
        await blob.CreateAsync(cancellationToken: Cancel);
        foreach (var piece in bytes.Chunk(4 * MiB))
            await blob.AppendBlockAsync(new MemoryStream(piece), cancellationToken: Cancel);
        _refusesParts = true;
        return blob;
    }

    private static Task RefuseAsync(HttpContext http, int status)
    {
        http.Response.Headers["x-ms-error-code"] = "InvalidBlobType";
        http.Response.ContentType = "application/xml";
        return http.Response.WriteAsync(
            "<?xml version=\"1.0\"?><Error><Code>InvalidBlobType</Code><Message>The blob type is invalid.</Message></Error>", Cancel);
    }

    // The parts of a fill are sent while it comes, those of a push at its end.
    private async Task CommitAsync(byte[] bytes, bool isFill)
    {
        var digest = Digest.Of(bytes);
        await using Spool spool = isFill
            ? await Content.SpoolAsync(digest, Cancel)
            : await Content.SpoolPrivatelyAsync(digest, Cancel);
        spool.Append(bytes);
        Assert.True(await spool.VerifyAsync(digest, Cancel));
        spool.Complete();
        await Content.CommitAsync(spool, digest, Cancel);
    }
}
