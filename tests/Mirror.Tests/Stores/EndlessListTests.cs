using System.Text.Json;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Azure;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Buckets.Swift;
using Mirror.Tests.Parsing;
using Xunit;

namespace Mirror.Tests.Stores;

/// <summary>
/// The service of a bucket that says "there is more" and gives the same page again, since it ignores where a page is to begin.
/// </summary>
public sealed class EndlessListTests : IDisposable
{
    private readonly AnswerServer _server = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _server.Dispose();

    [Theory]
    [InlineData("")]
    [InlineData("<NextContinuationToken>t</NextContinuationToken>")]
    public Task S3(string next) => AssertEndsAsync(
        new S3Bucket(
            new() { Bucket = "b", RegionEndpoint = _server.Url.OriginalString, AccessKey = "a", SecretKey = "b" }, TimeProvider.System),
        $"""
        <ListBucketResult><Contents><Key>docker/a</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><Size>7</Size></Contents>
        <IsTruncated>true</IsTruncated>{next}</ListBucketResult>
        """);

    [Fact]
    public Task Azure() => AssertEndsAsync(
        new AzureBucket(
            new() { AccountName = "a", AccountKey = "YWJj", Container = "c", ServiceUrl = _server.Url.OriginalString },
            TimeProvider.System),
        """
        <?xml version="1.0"?><EnumerationResults ContainerName="c"><Blobs><Blob><Name>/docker/a</Name><Properties>
        <Last-Modified>Fri, 02 Jan 2026 03:04:05 GMT</Last-Modified><Content-Length>7</Content-Length></Properties></Blob></Blobs>
        <NextMarker>t</NextMarker></EnumerationResults>
        """);

    [Fact]
    public Task Swift() => AssertEndsAsync(
        new SwiftBucket(
            new() { Container = "c", AuthUrl = $"{_server.Url.OriginalString}/auth/v1.0", Username = "u", Password = "p" },
            TimeProvider.System),
        JsonSerializer.Serialize(Enumerable.Range(0, 1000).Select(
            number => new { name = $"files/docker/{number:0000}", last_modified = "2026-01-02T03:04:05.000000", bytes = 7 })));

    private async Task AssertEndsAsync(IBucket bucket, string page)
    {
        _server.Answer = line => line.Contains(" /auth/", StringComparison.Ordinal)
            ? new([$"X-Storage-Url: {_server.Url.OriginalString}/v1/a", "X-Auth-Token: t"], [])
            // Azure's container is created.
            : line.StartsWith("PUT ", StringComparison.Ordinal) ? new(["x-ms-version: 2024-01-01"], [], 201)
            : new(["x-ms-version: 2024-01-01"], FuzzText.Bytes(page));
        using (bucket)
        {
            var failure = await Assert.ThrowsAsync<StoreUnavailableException>(async () =>
            {
                await foreach (var _ in bucket.ListAsync("docker/", null, Cancel))
                {
                }
            });
            Assert.EndsWith("the list would never end.", failure.Message, StringComparison.Ordinal);
        }
    }
}
