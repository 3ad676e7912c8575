using System.Net;
using Google;
using Google.Apis.Auth.OAuth2;
using Google.Apis.Storage.v1.Data;
using Google.Apis.Upload;
using Google.Cloud.Storage.V1;
using Mirror.Tests.Peers;
using Mirror.Tests.Peers.Gcs;
using Xunit;

namespace Mirror.Tests.Harness;

/// <summary>The stand-in for Google Cloud Storage answers Google's own client and rclone as they expect it.</summary>
public sealed class GoogleStorageTests : IAsyncLifetime
{
    private const int MiB = 1 << 20;
    private const string Bucket = GoogleStorage.Bucket;

    private GoogleStorage _store = null!;
    private StorageClient _client = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _store = await GoogleStorage.StartAsync();
        _client = Client(CredentialFactory.FromJson<ServiceAccountCredential>(_store.KeyFile()).ToGoogleCredential());
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _store.DisposeAsync();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1000)]
    [InlineData(3 * MiB + 17)]
    public async Task Googles_client_reads_what_it_wrote(int length)
    {
        var bytes = Bytes(length);
        var written = await PutAsync("a/b c/é", bytes, new UploadObjectOptions { ChunkSize = MiB });
        Assert.Equal((ulong)length, written.Size);
        Assert.Equal(0, _store.OpenUploads);
        Assert.Equal(bytes, await ReadAsync("a/b c/é"));
        if (length > 0)
            Assert.Equal(bytes[10..901], await ReadAsync("a/b c/é", new DownloadObjectOptions { Range = new(10, 900) }));
        Assert.Equal(written.Generation, (await _client.GetObjectAsync(Bucket, "a/b c/é", cancellationToken: Cancel)).Generation);
    }

    [Fact]
    public async Task An_upload_that_is_cut_off_is_resumed_after_the_bytes_that_came()
    {
        var bytes = Bytes(5 * MiB);
        _store.Faults.Set(request =>
            request.Query.ContainsKey("upload_id") && _store.Faults.Count == 0 ? StoreFault.CutAfter(700_000) : null);
        using var body = new MemoryStream(bytes);
        var upload = _client.CreateObjectUploader(Bucket, "o", null, body, new UploadObjectOptions { ChunkSize = 2 * MiB });
        var progress = await upload.UploadAsync(Cancel);
        if (progress.Status is UploadStatus.Failed)
            progress = await upload.ResumeAsync(Cancel);
        Assert.Equal((UploadStatus.Completed, 1), (progress.Status, _store.Faults.Count));
        Assert.Equal(bytes, await ReadAsync("o"));
    }

    [Fact]
    public async Task Lists_have_prefixes_and_pages()
    {
        foreach (var name in new[] { "a", "b/1", "b/2", "b-3", "c/d/e", "d" })
            await PutAsync(name, Bytes(1));
        var pages = new List<Objects>();
        var folders = new ListObjectsOptions { Delimiter = "/", PageSize = 2 };
        await foreach (var page in _client.ListObjectsAsync(Bucket, "", folders).AsRawResponses())
            pages.Add(page);
        Assert.Equal(3, pages.Count);
        Assert.Equal(["a", "b-3", "d"], pages.SelectMany(page => page.Items ?? []).Select(item => item.Name));
        Assert.Equal(["b/", "c/"], pages.SelectMany(page => page.Prefixes ?? []));
        Assert.Equal(["b/1", "b/2"], await _client.ListObjectsAsync(Bucket, "b/").Select(item => item.Name).ToListAsync(Cancel));
    }

    [Fact]
    public async Task Conditions_on_generations_decide()
    {
        var first = await PutAsync("o", [1], new UploadObjectOptions { IfGenerationMatch = 0 });
        await RefusedAsync(HttpStatusCode.PreconditionFailed, () => PutAsync("o", [2], new UploadObjectOptions { IfGenerationMatch = 0 }));
        await PutAsync("o", [3], new UploadObjectOptions { IfGenerationMatch = first.Generation });
        await RefusedAsync(
            HttpStatusCode.PreconditionFailed, () => PutAsync("o", [4], new UploadObjectOptions { IfGenerationMatch = first.Generation }));
        await RefusedAsync(HttpStatusCode.PreconditionFailed, () => _client.DeleteObjectAsync(
            Bucket, "o", new DeleteObjectOptions { IfMetagenerationMatch = 7 }, Cancel));
        Assert.Equal([3], await ReadAsync("o"));

        // Of many that create an object at the same time, one succeeds.
        var won = 0;
        await Parallel.ForAsync(0, 8, Cancel, async (number, _) =>
        {
            try
            {
                await PutAsync("race", [(byte)number], new UploadObjectOptions { IfGenerationMatch = 0 });
                Interlocked.Increment(ref won);
            }
            catch (GoogleApiException lost) when (lost.HttpStatusCode == HttpStatusCode.PreconditionFailed)
            {
            }
        });
        Assert.Equal(1, won);
    }

    [Fact]
    public async Task Objects_are_copied_and_composed_and_deleted()
    {
        var (one, two) = (Bytes(3 * MiB), Bytes(1000));
        await PutAsync("one", one);
        await PutAsync("two", two);
        _store.BytesPerRewrite = MiB;
        var copy = await _client.CopyObjectAsync(Bucket, "one", Bucket, "copy", cancellationToken: Cancel);
        Assert.NotNull(copy.Md5Hash);
        Assert.Equal(one, await ReadAsync("copy"));
        var composed = await _client.Service.Objects.Compose(
            new ComposeRequest { SourceObjects = [new() { Name = "one" }, new() { Name = "two" }] }, Bucket, "both").ExecuteAsync(Cancel);
        Assert.Equal((2, null), (composed.ComponentCount, composed.Md5Hash));
        Assert.Equal(one.Concat(two), await ReadAsync("both"));
        await _client.DeleteObjectAsync(Bucket, "one", cancellationToken: Cancel);
        await RefusedAsync(HttpStatusCode.NotFound, () => _client.DeleteObjectAsync(Bucket, "one", cancellationToken: Cancel));
        await RefusedAsync(HttpStatusCode.NotFound, () => ReadAsync("one"));
        await RefusedAsync(HttpStatusCode.NotFound, () => _client.GetObjectAsync("nowhere", "one", cancellationToken: Cancel));
    }

    [Fact]
    public async Task Faults_come_as_ordered_and_end()
    {
        await PutAsync("o", Bytes(2 * MiB));
        foreach (var status in new[] { HttpStatusCode.Forbidden, HttpStatusCode.InternalServerError, HttpStatusCode.ServiceUnavailable })
        {
            _store.Faults.Set(StoreFault.Status((int)status));
            var get = _client.Service.Objects.Get(Bucket, "o");
            var error = await Assert.ThrowsAsync<GoogleApiException>(() => get.ExecuteAsync(Cancel));
            Assert.Equal((status, (int)status), (error.HttpStatusCode, error.Error.Code));
        }
        _store.Faults.Set(StoreFault.CutAfter(MiB));
        await Assert.ThrowsAnyAsync<Exception>(() => ReadAsync("o"));
        _store.Faults.Clear();
        Assert.Equal(2 * MiB, (await ReadAsync("o")).Length);
    }

    [Fact]
    public async Task A_token_that_is_not_accepted_any_more_is_renewed()
    {
        await PutAsync("o", [1]);
        var key = CredentialFactory.FromJson<ServiceAccountCredential>(_store.KeyFile()).WithUseJwtAccessWithScopes(false);
        using var client = Client(key.ToGoogleCredential());
        Assert.NotNull(await client.GetObjectAsync(Bucket, "o", cancellationToken: Cancel));
        _store.RevokeTokens();
        Assert.NotNull(await client.GetObjectAsync(Bucket, "o", cancellationToken: Cancel));
        using var stranger = new StorageClientBuilder { BaseUri = _store.ApiUrl.OriginalString, UnauthenticatedAccess = true }.Build();
        await RefusedAsync(HttpStatusCode.Unauthorized, () => stranger.GetObjectAsync(Bucket, "o", cancellationToken: Cancel));
    }

    [Theory]
    [InlineData(SigningVersion.V2)]
    [InlineData(SigningVersion.V4)]
    public async Task Signed_addresses_are_read_without_credentials(SigningVersion version)
    {
        var bytes = Bytes(1000);
        await PutAsync("a/o", bytes);
        var signer = UrlSigner.FromCredential(CredentialFactory.FromJson<ServiceAccountCredential>(_store.KeyFile()));
        var options = UrlSigner.Options.FromDuration(TimeSpan.FromMinutes(5)).WithSigningVersion(version)
            .WithScheme(_store.Url.Scheme).WithHost(_store.Url.Host).WithPort(_store.Url.Port);
        var address = await signer.SignAsync(UrlSigner.RequestTemplate.FromBucket(Bucket).WithObjectName("a/o"), options, Cancel);
        Assert.Equal(bytes, await Http.Client.GetByteArrayAsync(new Uri(address), Cancel));
        foreach (var wrong in new[] { address.Replace("o?", "p?", StringComparison.Ordinal), address.Split('?')[0] })
        {
            using var refused = await Http.Client.GetAsync(new Uri(wrong), Cancel);
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        }
    }

    [Fact]
    public async Task Rclone_copies_a_folder_there_and_back()
    {
        Availability.Of("rclone").OrSkip();
        using var folder = new TempFolder();
        var (key, from, to) = (Path.Combine(folder.Path, "key"), Path.Combine(folder.Path, "from"), Path.Combine(folder.Path, "to"));
        await File.WriteAllTextAsync(key, _store.KeyFile(), Cancel);
        Directory.CreateDirectory(Path.Combine(from, "in/side"));
        await File.WriteAllBytesAsync(Path.Combine(from, "small"), Bytes(10), Cancel);
        await File.WriteAllBytesAsync(Path.Combine(from, "in/side/large"), Bytes(20 * MiB), Cancel);
        var remote = $":gcs,service_account_file='{key}',endpoint='{_store.ApiUrl.OriginalString}':{Bucket}/up";
        await RcloneAsync("copy", from, remote);
        await RcloneAsync("check", from, remote);
        await RcloneAsync("moveto", $"{remote}/in/side/large", $"{remote}/moved");
        await RcloneAsync("copy", remote, to);
        Assert.Equal(await File.ReadAllBytesAsync(Path.Combine(from, "in/side/large"), Cancel),
            await File.ReadAllBytesAsync(Path.Combine(to, "moved"), Cancel));
        await RcloneAsync("purge", remote);
        Assert.Empty(await _client.ListObjectsAsync(Bucket, "").ToListAsync(Cancel));

        Task<string> RcloneAsync(params string[] arguments) =>
            PeerProcess.RunAsync("rclone", ["--config", "/dev/null", "--retries", "1", .. arguments]);
    }

    private StorageClient Client(GoogleCredential credential) =>
        new StorageClientBuilder { BaseUri = _store.ApiUrl.OriginalString, GoogleCredential = credential }.Build();

    private static byte[] Bytes(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    private async Task<Google.Apis.Storage.v1.Data.Object> PutAsync(string name, byte[] bytes, UploadObjectOptions? options = null)
    {
        using var body = new MemoryStream(bytes);
        return await _client.UploadObjectAsync(Bucket, name, "application/octet-stream", body, options, Cancel);
    }

    private async Task<byte[]> ReadAsync(string name, DownloadObjectOptions? options = null)
    {
        using var body = new MemoryStream();
        await _client.DownloadObjectAsync(Bucket, name, body, options, Cancel);
        return body.ToArray();
    }

    private static async Task RefusedAsync(HttpStatusCode status, Func<Task> call) =>
        Assert.Equal(status, (await Assert.ThrowsAsync<GoogleApiException>(call)).HttpStatusCode);
}
