using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Mirror.Commands;
using Mirror.Tests.Peers;
using Mirror.Tests.Peers.Elliptics;
using Mirror.Tests.Peers.Gcs;
using Mirror.Tests.Resilience;
using Mirror.Tests.S3;
using Mirror.Tests.Stores;
using WireMock.RequestBuilders;
using WireMock.ResponseBuilders;
using WireMock.Server;
using Xunit;

namespace Mirror.Tests.Commands;

/// <summary><c>check-config --online</c> says in words what is wrong with the store.</summary>
public sealed class OnlineCheckTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_store_that_works_is_told_and_has_nothing_more_in_it()
    {
        var store = await SharedRadosgw.OrSkipAsync();
        var root = $"test/{Guid.NewGuid():N}";
        var (code, error) = await CheckAsync(BucketDriver.Of(store.Url, root));
        Assert.Equal(0, code);
        Assert.Contains($"online: the store s3://{Radosgw.Bucket}/{root} can be used", error, StringComparison.Ordinal);
        using var client = store.Client();
        var left = await client.ListObjectsV2Async(
            new() { BucketName = Radosgw.Bucket, Prefix = root }, TestContext.Current.CancellationToken);
        Assert.Empty(left.S3Objects ?? []);
    }

    [Fact]
    public async Task A_folder_is_tried_with_a_small_write_and_may_be_missing()
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        var root = Path.Combine(volume.Path, "root");
        var driver = $"  filesystem:\n    rootdirectory: {root}\n";
        var (code, error) = await CheckAsync(driver);
        Assert.Equal((0, false), (code, Directory.Exists(root)));
        Assert.Contains("the server makes it", error, StringComparison.Ordinal);
        Directory.CreateDirectory(root);
        Assert.Equal(0, (await CheckAsync(driver)).Code);
        Assert.Empty(Directory.GetFileSystemEntries(root));

        await volume.RemountAsync("ro");
        (code, error) = await CheckAsync(driver);
        Assert.Equal(1, code);
        Assert.Contains($": storage.filesystem.rootdirectory: user {Environment.UserName} cannot write to the folder {root}", error,
            StringComparison.Ordinal);
        Assert.DoesNotContain("storage.filesystem: ", error, StringComparison.Ordinal);
        Assert.Equal(0, (await CheckAsync($"{driver}  maintenance:\n    readonly: {{enabled: true}}\n")).Code);
    }

    [Fact]
    public async Task The_top_of_a_folder_may_be_closed_if_the_folders_below_are_there()
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        foreach (var below in new[] { "docker", "mirror" })
            Directory.CreateDirectory(Path.Combine(volume.Path, below));
        var driver = $"  filesystem:\n    rootdirectory: {volume.Path}\n";
        await LoopVolume.CloseAsync(volume.Path);
        Assert.Equal(0, (await CheckAsync(driver)).Code);

        await LoopVolume.CloseAsync(Path.Combine(volume.Path, "mirror"));
        var (code, error) = await CheckAsync(driver);
        Assert.Equal(1, code);
        Assert.Contains($"no right to write to the folder {volume.Path}/mirror", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("    bucket: mirror", "    bucket: nowhere", "there is no such bucket")]
    [InlineData("secretkey: testing123", "secretkey: wrong", "the secret key is not that of the access key")]
    [InlineData("accesskey: test\n", "accesskey: nobody\n", "the store does not know the access key")]
    public async Task What_radosgw_refuses_is_told_in_words(string right, string wrong, string words)
    {
        var driver = BucketDriver.Of((await SharedRadosgw.OrSkipAsync()).Url, "test");
        var (code, error) = await CheckAsync(driver.Replace(right, wrong, StringComparison.Ordinal));
        Assert.Equal(1, code);
        Assert.Contains(words, error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(403, "RequestTimeTooSkewed", "set the clock")]
    [InlineData(400, "AuthorizationHeaderMalformed", "change region")]
    [InlineData(301, "PermanentRedirect", "change region")]
    [InlineData(403, "AccessDenied", "give it the right")]
    [InlineData(403, "QuotaExceeded", "make room, or raise the quota")]
    public async Task What_other_stores_refuse_is_told_in_words(int status, string reason, string words)
    {
        using var store = WireMockServer.Start();
        store.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(status).WithHeader("Content-Type", "application/xml")
            .WithBody($"<Error><Code>{reason}</Code><Message>no</Message></Error>"));
        var (code, error) = await CheckAsync(BucketDriver.Of(new Uri(store.Url!), "test"));
        Assert.Equal(1, code);
        Assert.Contains(words, error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("text/html", "with a page of HTML, which is not the store's")]
    [InlineData("text/plain", "an answer that is no XML")]
    public async Task Another_server_in_place_of_the_store_is_told_in_words(string type, string words)
    {
        using var store = WireMockServer.Start();
        store.Given(Request.Create()).RespondWith(
            Response.Create().WithHeader("Content-Type", type).WithBody("<!doctype html><html>hello</html>"));
        await AssertToldAsync(BucketDriver.Of(new Uri(store.Url!), "test"), words);
    }

    [Fact]
    public async Task A_store_that_does_not_speak_tls_is_told_in_words()
    {
        using var store = WireMockServer.Start();
        var https = new Uri(store.Url!.Replace("http://", "https://", StringComparison.Ordinal));
        await AssertToldAsync(BucketDriver.Of(https, "test"), "does not speak TLS");
    }

    [Theory]
    [InlineData("//mirror.", "//nowhere.", "there is no such bucket")]
    [InlineData("accesskeysecret: testing123", "accesskeysecret: wrong", "the secret key is not that of the access key")]
    public async Task What_a_store_refuses_that_is_used_as_oss_is_told_in_words(string right, string wrong, string words)
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(StoreKind.Oss);
        await AssertToldAsync(store.DirectDriver.Replace(right, wrong, StringComparison.Ordinal), words);
    }

    [Fact]
    public async Task A_bucket_of_oss_in_another_region_is_told_in_words()
    {
        using var store = WireMockServer.Start();
        store.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(403).WithHeader("Content-Type", "application/xml")
            .WithBody("<Error><Code>AccessDenied</Code><Message>The bucket you are attempting to access must be addressed using the "
                + "specified endpoint. Please send all future requests to this endpoint.</Message></Error>"));
        await AssertToldAsync(
            "  oss:\n    accesskeyid: a\n    accesskeysecret: b\n    region: oss-cn-hangzhou\n    bucket: images\n"
                + $"    endpoint: {store.Url}\n",
            "the bucket is in another region: change region");
    }

    [Theory]
    [InlineData("container: ", "container: nowhere-", "there is no such container")]
    [InlineData("accountkey: ", "accountkey: AAAA", "the key is not that of the account")]
    public async Task What_azurite_refuses_is_told_in_words(string right, string wrong, string words)
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(StoreKind.Azure);
        // With credentials, as in registry:3, no container is made.
        await AssertToldAsync(
            $"{store.DirectDriver.Replace(right, wrong, StringComparison.Ordinal)}    credentials: {{type: shared_key}}\n", words);
    }

    [Fact]
    public async Task A_clock_that_azure_refuses_is_told_in_words()
    {
        var url = new Uri($"http://127.0.0.1:{Ports.Free()}");
        await using var store = await OwnServer.StartAsync(url, context =>
        {
            context.Response.StatusCode = 403;
            context.Response.Headers["x-ms-error-code"] = "AuthenticationFailed";
            context.Response.Headers.Date = "Mon, 01 Jan 2024 00:00:00 GMT";
            return Task.CompletedTask;
        });
        await AssertToldAsync(
            $"  azure:\n    accountname: images\n    accountkey: AAAA\n    container: images\n    serviceurl: {url}\n",
            "the clock of the store says 2024-01-01 00:00:00Z");
    }

    [Fact]
    public async Task A_store_with_another_date_can_be_used_and_the_dates_are_told()
    {
        var url = new Uri($"http://127.0.0.1:{Ports.Free()}");
        await using var store = await StartS3Async(url, context =>
        {
            context.Response.Headers.Date = "Mon, 01 Jan 2024 00:00:00 GMT";
            return false;
        });
        var (code, error) = await CheckAsync(BucketDriver.Of(url, "test"));
        Assert.Contains(
            "warning: the clock of the store s3://mirror/test/ says 2024-01-01 00:00:", error, StringComparison.Ordinal);
        Assert.Contains("can be used", error, StringComparison.Ordinal);
        Assert.Equal(0, code);
    }

    [Fact]
    public async Task A_store_that_gives_nothing_back_is_told_in_words()
    {
        var url = new Uri($"http://127.0.0.1:{Ports.Free()}");
        await using var store = await StartS3Async(url, context => HttpMethods.IsGet(context.Request.Method));
        await AssertToldAsync(BucketDriver.Of(url, "test"), "refused: Forbidden");
    }

    [Theory]
    [InlineData("http://maintenance.example/")]
    [InlineData("/elsewhere")]
    public async Task A_store_that_leads_to_another_address_is_told_in_words(string location)
    {
        using var store = WireMockServer.Start();
        store.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(307).WithHeader("Location", location));
        await AssertToldAsync(BucketDriver.Of(new Uri(store.Url!), "test"), "leads to another address");
    }

    [Fact]
    public async Task A_bucket_in_the_host_of_the_endpoint_is_told_in_words()
    {
        using var store = WireMockServer.Start();
        store.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(404).WithHeader("Content-Type", "application/xml")
            .WithBody("<Error><Code>NoSuchKey</Code></Error>"));
        var url = new Uri(store.Url!.Replace("//localhost", "//mirror.localhost", StringComparison.Ordinal));
        await AssertToldAsync(BucketDriver.Of(url, "test"), "the host of the endpoint begins with the bucket's name");
    }

    [Fact]
    public async Task An_account_of_azure_that_takes_no_keys_is_told_in_words()
    {
        var url = new Uri($"http://127.0.0.1:{Ports.Free()}");
        await using var store = await OwnServer.StartAsync(url, context =>
        {
            context.Response.StatusCode = 403;
            context.Response.Headers["x-ms-error-code"] = "KeyBasedAuthenticationNotPermitted";
            return Task.CompletedTask;
        });
        await AssertToldAsync(
            $"  azure:\n    accountname: images\n    accountkey: AAAA\n    container: images\n    serviceurl: {url}\n",
            "set credentials.type to client_secret or default_credentials");
    }

    [Fact]
    public async Task What_google_refuses_is_told_in_words()
    {
        await using var store = await GoogleStorage.StartAsync();
        await using var other = await GoogleStorage.StartAsync();
        await AssertToldAsync(Driver("nowhere", store.KeyFile()), "there is no such bucket");
        var key = other.KeyFile().Replace(other.Url.OriginalString, store.Url.OriginalString, StringComparison.Ordinal);
        await AssertToldAsync(Driver(GoogleStorage.Bucket, key), "the key is not valid any longer");
        store.ClockDifference = TimeSpan.FromHours(1);
        await AssertToldAsync(Driver(GoogleStorage.Bucket, store.KeyFile()), "set the clock");

        string Driver(string bucket, string keyFile) =>
            $"  gcs:\n    bucket: {bucket}\n    keyfile: {_folder.Write("key.json", keyFile)}\n    endpoint: {store.Url}\n";
    }

    [Fact]
    public async Task What_swift_refuses_is_told_in_words_and_a_container_is_left_to_the_server()
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(StoreKind.Swift);
        for (var time = 0; time < 2; time++)
        {
            var (code, error) = await CheckAsync(store.DirectDriver);
            Assert.Equal((0, true), (code, error.Contains("the server makes it when it starts", StringComparison.Ordinal)));
        }
        await store.PutAsync("local/app", [1]);
        Assert.Contains("can be used", (await CheckAsync(store.DirectDriver)).Error, StringComparison.Ordinal);
        await AssertToldAsync(
            store.DirectDriver.Replace($"password: {Swift.Password}", "password: wrong", StringComparison.Ordinal),
            "authurl does not accept username and password");
    }

    [Fact]
    public async Task A_region_that_keystone_does_not_list_is_told_in_words()
    {
        using var keystone = WireMockServer.Start();
        keystone.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(201).WithHeader("X-Subject-Token", "t").WithBody("""
            {"token": {"catalog": [{"type": "object-store", "endpoints": [
                {"interface": "public", "region": "north", "region_id": "north", "url": "http://127.0.0.1:1/"}]}]}}
            """));
        await AssertToldAsync(
            $"  swift:\n    username: u\n    password: p\n    authurl: {keystone.Url}/v3\n    container: c\n    region: south\n",
            "no object store in region south");
    }

    [Theory]
    [InlineData(StoreKind.Glance, "cannot be reached: Connection refused")]
    [InlineData(StoreKind.Elliptics, "cannot be reached: Connection refused")]
    public async Task A_store_that_keeps_only_content_is_tried_with_content_and_what_is_missing_is_told(StoreKind kind, string away)
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(kind);
        await AssertToldAsync(store.Driver, "rootdirectory: the folder");
        Directory.CreateDirectory(store.NamesFolder);
        var (code, error) = await CheckAsync(store.Driver);
        Assert.True((code, error.Contains("can be used", StringComparison.Ordinal)) == (0, true), error);
        Assert.DoesNotContain(
            Directory.GetFiles(store.NamesFolder, "*", SearchOption.AllDirectories),
            file => file.Contains("trial", StringComparison.Ordinal) || file.EndsWith("/data", StringComparison.Ordinal));
        store.Faults.Set(request => HttpMethods.IsGet(request.Method) ? null : StoreFault.Status(403));
        await AssertToldAsync(store.Driver, "may not do this");
        await store.RefuseConnectionsAsync();
        await AssertToldAsync(store.Driver, away);
    }

    [Theory]
    [InlineData("images", "key", "can be used")]
    [InlineData("images", "wrong", "the user may not do this, or the token is wrong")]
    [InlineData("nowhere", "key", "there is no bucket nowhere")]
    public async Task What_rift_refuses_is_told_in_words(string bucket, string token, string words)
    {
        await using var rift = await RiftStandIn.StartAsync(
            RiftRelease.ByPath, [new RiftBucket("images") { Users = [new("mirror", "key", RiftRights.Write)] }]);
        var (_, error) = await CheckAsync(
            $"  elliptics:\n    endpoints: [{rift.Url}]\n    bucket: {bucket}\n    username: mirror\n    token: {token}\n"
                + $"    rootdirectory: {_folder.Folder("names")}\n");
        Assert.Contains(words, error, StringComparison.Ordinal);
        Assert.Equal(0, rift.Count);
    }

    [Fact]
    public async Task What_keystone_refuses_for_glance_is_told_in_words()
    {
        using var keystone = WireMockServer.Start();
        keystone.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(401));
        var driver = $"  glance:\n    username: u\n    password: p\n    authurl: {keystone.Url}/v3\n    tenant: images\n"
            + $"    rootdirectory: {_folder.Folder("names")}\n";
        await AssertToldAsync(driver, "authurl does not accept username and password");
        keystone.Reset();
        keystone.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(201).WithHeader("X-Subject-Token", "t")
            .WithBody("""{"token": {"catalog": []}}"""));
        await AssertToldAsync(driver, "no image service");
    }

    // A store with one object at most.
    private static Task<WebApplication> StartS3Async(Uri url, Func<HttpContext, bool> isDenied)
    {
        byte[] stored = [];
        return OwnServer.StartAsync(url, async context =>
        {
            var (request, response) = (context.Request, context.Response);
            var denied = isDenied(context);
            if (request.Query.ContainsKey("list-type"))
                await response.WriteAsync("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
            else if (denied)
                response.StatusCode = 403;
            else if (HttpMethods.IsPut(request.Method))
            {
                using var body = new MemoryStream();
                await request.Body.CopyToAsync(body);
                stored = body.ToArray();
                response.Headers.ETag = "\"1\"";
            }
            else if (HttpMethods.IsDelete(request.Method))
                response.StatusCode = 204;
            else
            {
                response.ContentLength = stored.Length;
                if (HttpMethods.IsGet(request.Method))
                    await response.Body.WriteAsync(stored);
            }
        });
    }

    private async Task AssertToldAsync(string driver, string words)
    {
        var (code, error) = await CheckAsync(driver);
        Assert.True(error.Contains(words, StringComparison.Ordinal), error);
        Assert.Equal(1, code);
    }

    // On a busy machine a store may answer after the limit of the check, which then says nothing of what the test wants to know.
    private async Task<(int Code, string Error)> CheckAsync(string driver)
    {
        var told = (Code: 0, Error: "");
        await Until.TrueAsync(
            async () =>
            {
                told = await CheckOnceAsync(driver);
                return !told.Error.Contains("did not answer within", StringComparison.Ordinal);
            },
            () => told.Error);
        return told;
    }

    private async Task<(int Code, string Error)> CheckOnceAsync(string driver)
    {
        var file = _folder.Write("config.yml", $"version: 0.1\nstorage:\n{driver}");
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await CommandLine.RunAsync(["check-config", file, "--online"], new Dictionary<string, string>(), output, error);
        return (code, error.ToString());
    }
}
