using Microsoft.AspNetCore.Http;
using Mirror.Storage.Buckets;
using Xunit;

namespace Mirror.Storage.Tests.Buckets;

/// <summary>Answers that are not the store's, because something in front of it gave them or cut them off.</summary>
public sealed class ForeignAnswerTests : IAsyncLifetime
{
    private const string EmptyList = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    private const string EmptyListOfAzure = "<EnumerationResults><Blobs/></EnumerationResults>";

    private readonly ScriptedStore _store = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _store.StartAsync();

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Theory]
    [InlineData("s3", 200, "")]
    [InlineData("s3", 204, "")]
    [InlineData("s3", 200, "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>")]
    [InlineData("swift", 200, "")]
    [InlineData("swift", 204, "")]
    [InlineData("azure", 200, "")]
    [InlineData("gcs", 200, "")]
    [InlineData("gcs", 200, "{}")]
    public async Task An_answer_that_is_no_list_does_not_say_that_there_is_nothing(string service, int status, string body)
    {
        _store.AnswerAsync = http => http.Request.Method == "GET" ? WriteAsync(http, status, body) : Task.CompletedTask;
        using var bucket = await _store.ConnectAsync(service);
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.ListFoldersAsync("docker", "", Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.ListAsync("docker/", null, Cancel).AnyAsync(Cancel));
    }

    [Theory]
    [InlineData("s3", EmptyList)]
    [InlineData("swift", "[]")]
    [InlineData("gcs", """{"kind": "storage#objects"}""")]
    public async Task An_empty_list_does(string service, string body)
    {
        _store.AnswerAsync = http => WriteAsync(http, 200, body);
        using var bucket = await _store.ConnectAsync(service);
        Assert.Empty(await bucket.ListFoldersAsync("docker", "", Cancel));
        Assert.False(await bucket.ListAsync("docker/", null, Cancel).AnyAsync(Cancel));
    }

    [Theory]
    [InlineData("s3")]
    [InlineData("swift")]
    [InlineData("azure")]
    [InlineData("gcs")]
    public async Task An_empty_success_does_not_say_that_an_object_is_stored(string service)
    {
        // All else is answered as by an empty store.
        _store.AnswerAsync = http => http.Request.Method is "PUT" or "POST" ? Task.CompletedTask
            : http.Request.Query["comp"] == "list" ? WriteAsync(http, 200, EmptyListOfAzure)
            : WriteAsync(http, http.Request.Path.Value is "/auth/v1.0" or "/v1/images" ? 204 : 404, "");
        using var bucket = await _store.ConnectAsync(service);
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.PutTextAsync("a/b", "text", Cancel));
    }

    [Theory]
    [InlineData(201, false, true)]
    [InlineData(202, true, true)]
    [InlineData(202, false, false)]
    [InlineData(200, true, false)]
    public async Task Swift_confirms_a_write_also_if_a_later_one_was_faster(int status, bool isOfSwift, bool isStored)
    {
        _store.AnswerAsync = http =>
        {
            if (isOfSwift)
                http.Response.Headers["X-Trans-Id"] = "tx1";
            return WriteAsync(http, http.Request.Method == "PUT" ? status : 204, "");
        };
        using var bucket = await _store.ConnectAsync("swift");
        if (isStored)
            await bucket.PutTextAsync("a/b", "text", Cancel);
        else
            await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.PutTextAsync("a/b", "text", Cancel));
    }

    [Theory]
    [InlineData(4, true)]
    [InlineData(3, false)]
    [InlineData(null, false)]
    public async Task An_empty_answer_to_the_last_request_of_an_upload_is_believed_only_if_the_object_is_there(int? length, bool isStored)
    {
        _store.AnswerAsync = async http =>
        {
            var query = http.Request.Query;
            if (query.ContainsKey("uploads"))
                await WriteAsync(http, 200, "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>");
            else if (query.ContainsKey("partNumber"))
                http.Response.Headers.ETag = "\"1\"";
            else if (http.Request.Method == "HEAD")
                (http.Response.StatusCode, http.Response.ContentLength) = length is { } bytes ? (200, bytes) : (404, 0);
        };
        using var bucket = await _store.ConnectAsync("s3");
        var upload = await bucket.BeginUploadAsync("a/b", Cancel);
        await upload.PutPartAsync(1, () => new MemoryStream("text"u8.ToArray()), 4, Cancel);
        if (isStored)
            Assert.True(await upload.CompleteAsync(onlyIfAbsent: true, Cancel));
        else
            await Assert.ThrowsAsync<StoreUnavailableException>(async () => await upload.CompleteAsync(onlyIfAbsent: true, Cancel));
    }

    [Theory]
    [InlineData("http://maintenance.example/")]
    [InlineData("/elsewhere")]
    [InlineData("::")]
    public async Task A_redirect_that_the_library_does_not_understand_is_no_crash(string location)
    {
        _store.AnswerAsync = http =>
        {
            http.Response.Headers.Location = location;
            http.Response.StatusCode = 307;
            return Task.CompletedTask;
        };
        using var bucket = await _store.ConnectAsync("s3");
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.ReadTextAsync("a/b", Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.CheckAsync(Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.PutTextAsync("a/b", "text", Cancel));
    }

    [Theory]
    [InlineData(301)]
    [InlineData(302)]
    [InlineData(303)]
    [InlineData(307)]
    [InlineData(308)]
    public async Task A_redirect_of_googles_service_is_not_followed(int status)
    {
        var followed = false;
        _store.AnswerAsync = http =>
        {
            followed |= http.Request.Path == "/elsewhere";
            http.Response.Headers.Location = "/elsewhere";
            http.Response.StatusCode = followed ? 404 : status;
            return Task.CompletedTask;
        };
        using var bucket = await _store.ConnectAsync("gcs");
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.ReadTextAsync("a/b", Cancel));
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.SizeAsync("a/b", Cancel));
        Assert.False(followed);
    }

    [Theory]
    [InlineData("s3", 404, "")]
    [InlineData("s3", 404, "<Error><Code>NoSuchUpload</Code></Error>")]
    [InlineData("azure", 404, "")]
    [InlineData("gcs", 416, "")]
    public async Task An_answer_that_is_not_about_the_object_does_not_say_that_it_does_not_exist(string service, int status, string body)
    {
        _store.AnswerAsync = http => http.Request.Query["comp"] == "list"
            ? WriteAsync(http, 200, EmptyListOfAzure)
            : WriteAsync(http, status, body);
        using var bucket = await _store.ConnectAsync(service);
        await Assert.ThrowsAsync<StoreUnavailableException>(async () => await bucket.ReadTextAsync("a/b", Cancel));
    }

    [Fact]
    public async Task An_object_of_s3_that_does_not_exist_is_missing()
    {
        _store.AnswerAsync = http => http.Request.Query.ContainsKey("list-type") ? WriteAsync(http, 200, EmptyList)
            : WriteAsync(http, 404, http.Request.Method == "HEAD" ? "" : "<Error><Code>NoSuchKey</Code></Error>");
        using var bucket = await _store.ConnectAsync("s3");
        Assert.Null(await bucket.ReadTextAsync("a/b", Cancel));
        Assert.Null(await bucket.OpenAsync("a/b", 0, 4, Cancel));
        Assert.Null(await bucket.SizeAsync("a/b", Cancel));
    }

    [Fact]
    public async Task A_page_that_comes_twice_shows_each_name_once()
    {
        _store.AnswerAsync = http => WriteAsync(http, 200, "<ListBucketResult><CommonPrefixes><Prefix>docker/a/</Prefix></CommonPrefixes>"
            + (http.Request.Query.ContainsKey("continuation-token")
                ? "<IsTruncated>false</IsTruncated></ListBucketResult>"
                : "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>"));
        using var bucket = await _store.ConnectAsync("s3");
        Assert.Equal(["a"], await bucket.ListFoldersAsync("docker", "", Cancel));
    }

    private static async Task WriteAsync(HttpContext http, int status, string body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = body.StartsWith('<') ? "application/xml" : "application/json";
        // The log-in of Swift.
        http.Response.Headers["X-Auth-Token"] = "token";
        http.Response.Headers["X-Storage-Url"] = $"http://{http.Request.Host}/v1";
        if (status == StatusCodes.Status204NoContent)
            return;
        http.Response.ContentLength = body.Length;
        await http.Response.WriteAsync(body, Cancel);
    }
}
