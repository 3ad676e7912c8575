using System.Globalization;
using Microsoft.AspNetCore.Http;
using Mirror.Storage.Buckets;
using Xunit;

namespace Mirror.Storage.Tests.Buckets;

/// <summary>A store that ignores <c>Range</c> and sends the object from its first byte.</summary>
public sealed class IgnoredRangeTests : IAsyncLifetime
{
    private static readonly byte[] Bytes = [.. Enumerable.Range(0, 200).Select(i => (byte)i)];

    private readonly ScriptedStore _store = new();
    private bool _sendsOtherRange;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        _store.AnswerAsync = AnswerAsync;
        return _store.StartAsync();
    }

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Theory]
    [InlineData("s3", false)]
    [InlineData("s3", true)]
    [InlineData("azure", false)]
    [InlineData("azure", true)]
    public async Task Its_bytes_are_not_taken_for_those_of_another_place(string service, bool sendsOtherRange)
    {
        _sendsOtherRange = sendsOtherRange;
        using var bucket = await _store.ConnectAsync(service);
        await Assert.ThrowsAsync<IOException>(async () => await ReadAsync(bucket, 100));
        if (!sendsOtherRange)
            Assert.Equal(Bytes[..50], await ReadAsync(bucket, 0));
    }

    private static async Task<byte[]> ReadAsync(IBucket bucket, long from)
    {
        await using var body = await bucket.OpenAsync("a/b", from, from + 50, Cancel);
        var read = new byte[50];
        await body!.ReadExactlyAsync(read, Cancel);
        return read;
    }

    private async Task AnswerAsync(HttpContext http)
    {
        if (http.Request.Query["comp"] == "list")
        {
            http.Response.ContentType = "application/xml";
            await http.Response.WriteAsync("<?xml version=\"1.0\"?><EnumerationResults><Blobs/><NextMarker/></EnumerationResults>", Cancel);
            return;
        }
        http.Response.Headers.ETag = "\"1\"";
        http.Response.Headers.LastModified = DateTimeOffset.UtcNow.ToString("R", CultureInfo.InvariantCulture);
        http.Response.Headers["x-ms-blob-type"] = "BlockBlob";
        http.Response.ContentLength = Bytes.Length;
        if (_sendsOtherRange)
        {
            http.Response.StatusCode = StatusCodes.Status206PartialContent;
            http.Response.Headers.ContentRange = $"bytes 0-{Bytes.Length - 1}/{Bytes.Length}";
        }
        await http.Response.Body.WriteAsync(Bytes, Cancel);
    }
}
