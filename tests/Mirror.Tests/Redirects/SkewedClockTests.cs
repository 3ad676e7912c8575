using System.Net;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Stores;
using Xunit;

namespace Mirror.Tests.Redirects;

/// <summary>The date of the mirror's machine is wrong. The store checks the addresses of redirects by its own clock.</summary>
public sealed class SkewedClockTests : IDisposable
{
    private readonly ShiftedClock _clock = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _clock.Dispose();

    [Theory]
    [InlineData(StoreKind.S3, -1)]
    [InlineData(StoreKind.S3, 1)]
    [InlineData(StoreKind.Azure, -1)]
    [LongData(StoreKind.Azure, 1)]
    [LongData(StoreKind.Swift, -1)]
    public async Task Clients_get_blobs_from_the_store_and_the_log_tells_both_dates(StoreKind kind, int days)
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(kind);
        _clock.Set(days);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Driver = store.DirectDriver, Environment = _clock.Environment });
        await mirror.UntilLoggedAsync(line => line.Contains("the clock of the store", StringComparison.Ordinal));
        var bytes = "layer"u8.ToArray();
        var blob = Digest.Of(bytes);
        using var body = new ByteArrayContent(bytes);
        using var pushed = await Http.Client.PostAsync(
            new Uri(mirror.Url, $"/v2/local/app/blobs/uploads/?digest={blob}"), body, Cancel);
        Assert.Equal(HttpStatusCode.Created, pushed.StatusCode);
        var address = await mirror.UntilRedirectedAsync($"local/app/blobs/{blob}");
        Assert.Equal(bytes, await Http.Client.GetByteArrayAsync(address, Cancel));
    }
}
