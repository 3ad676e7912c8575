using System.Net;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using WireMock.RequestBuilders;
using WireMock.ResponseBuilders;
using WireMock.Server;
using Xunit;

namespace Mirror.Tests.S3;

/// <summary>The addresses by which a bucket can be reached, and where credentials come from.</summary>
public sealed class BucketAddressTests : IAsyncLifetime
{
    private const int MiB = 1 << 20;
    private const string Repository = "library/nginx";

    private static readonly string Credentials = $$"""
        {"AccessKeyId":"{{Radosgw.AccessKey}}","SecretAccessKey":"{{Radosgw.SecretKey}}","Expiration":"2099-01-01T00:00:00Z"}
        """;

    private readonly string _root = $"test/{Guid.NewGuid():N}";
    private readonly TempFolder _home = new();
    private Radosgw _store = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string VirtualHost =>
        $"  s3:\n    regionendpoint: http://localhost:{_store.Url.Port}\n    forcepathstyle: false\n{Bucket}{Keys}";

    private string Keyless => $"  s3:\n    regionendpoint: {_store.Url}\n{Bucket}";

    private string Bucket => $"    bucket: {Radosgw.Bucket}\n    rootdirectory: /{_root}\n";

    private static string Keys => $"    accesskey: {Radosgw.AccessKey}\n    secretkey: {Radosgw.SecretKey}\n";

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _store = await SharedRadosgw.OrSkipAsync();
    }

    public ValueTask DisposeAsync()
    {
        _home.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_bucket_in_the_host_name_is_filled_and_clients_are_sent_there() =>
        await AssertWorksAsync(VirtualHost, $"{Radosgw.Bucket}.localhost:{_store.Url.Port}");

    [Fact]
    public async Task A_bucket_of_oss_is_filled_and_clients_are_sent_to_its_own_address() => await AssertWorksAsync(
        $"  oss:\n    accesskeyid: {Radosgw.AccessKey}\n    accesskeysecret: {Radosgw.SecretKey}\n    region: us-east-1\n"
        + $"    endpoint: {_store.BucketUrl}\n{Bucket}",
        _store.BucketUrl.Authority);

    [Fact]
    public Task Credentials_come_from_the_environment() => AssertWorksAsync(
        Keyless, _store.Url.Authority, ("AWS_ACCESS_KEY_ID", Radosgw.AccessKey), ("AWS_SECRET_ACCESS_KEY", Radosgw.SecretKey));

    [Fact]
    public async Task Credentials_come_from_a_profile()
    {
        _home.Write("credentials", $"""
            [images]
            aws_access_key_id = {Radosgw.AccessKey}
            aws_secret_access_key = {Radosgw.SecretKey}

            """);
        await AssertWorksAsync(
            Keyless, _store.Url.Authority, ("AWS_PROFILE", "images"), ("AWS_SHARED_CREDENTIALS_FILE", _home["credentials"]));
    }

    [Fact]
    public async Task Credentials_come_from_the_container()
    {
        using var container = WireMockServer.Start();
        container.Given(Request.Create().WithPath("/role")).RespondWith(
            Response.Create().WithHeader("Content-Type", "application/json").WithBody(Credentials));
        await AssertWorksAsync(
            Keyless, _store.Url.Authority, ("AWS_CONTAINER_CREDENTIALS_FULL_URI", $"{container.Url}/role"));
    }

    [Fact]
    public async Task Credentials_come_from_the_machine()
    {
        using var machine = WireMockServer.Start();
        machine.Given(Request.Create().WithPath("/latest/api/token").UsingPut()).RespondWith(Response.Create().WithBody("token"));
        machine.Given(Request.Create().WithPath("/latest/meta-data/iam/security-credentials")).RespondWith(
            Response.Create().WithBody("role"));
        machine.Given(Request.Create().WithPath("/latest/meta-data/iam/security-credentials/role")).RespondWith(
            Response.Create().WithBody($$"""
                {"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-01T00:00:00Z","Token":"session",{{Credentials.Trim()[1..]}}
                """));
        await AssertSignedAsync(("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.Url!));
    }

    [Fact]
    public async Task Credentials_come_from_a_web_identity()
    {
        _home.Write("token", "x.y.z");
        using var sts = WireMockServer.Start();
        sts.Given(Request.Create().UsingPost()).RespondWith(Response.Create().WithHeader("Content-Type", "text/xml").WithBody($"""
            <AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
              <Credentials><AccessKeyId>{Radosgw.AccessKey}</AccessKeyId><SecretAccessKey>{Radosgw.SecretKey}</SecretAccessKey>
                <SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
            </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>
            """));
        await AssertSignedAsync(
            ("AWS_WEB_IDENTITY_TOKEN_FILE", _home["token"]), ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/images"),
            ("AWS_ROLE_SESSION_NAME", "mirror"), ("AWS_REGION", "us-east-1"), ("AWS_ENDPOINT_URL_STS", sts.Url!));
    }

    // Radosgw knows no sessions of others, so a stand-in shows what it is asked with.
    private static async Task AssertSignedAsync(params (string Name, string Value)[] environment)
    {
        using var bucket = WireMockServer.Start();
        bucket.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(404));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Driver = $"  s3:\n    regionendpoint: {bucket.Url}\n    bucket: images\n",
            Environment = environment.ToDictionary(variable => variable.Name, variable => variable.Value),
        });
        using var missing = await mirror.GetAsync($"local/app/blobs/{Digest.Of([1])}");
        Assert.True(bucket.LogEntries.Any(), string.Join('\n', mirror.Log));
        var headers = bucket.LogEntries[0].RequestMessage!.Headers!.ToDictionary(StringComparer.OrdinalIgnoreCase);
        Assert.Contains($"Credential={Radosgw.AccessKey}/", headers["Authorization"].ToString(), StringComparison.Ordinal);
        Assert.Equal("session", headers["X-Amz-Security-Token"].ToString());
    }

    private static async Task AssertWorksAsync(string driver, string host, params (string Name, string Value)[] environment)
    {
        await using var hub = await ScriptedHub.StartAsync();
        // Longer than a part.
        var blob = hub.AddBlob(Repository, HubBlob.Seeded(7, 11 * MiB));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            Driver = driver,
            Environment = environment.ToDictionary(variable => variable.Name, variable => variable.Value),
        });
        using (var cold = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}"))
            Assert.Equal(blob.Digest, Digest.Of(await cold.Content.ReadAsByteArrayAsync(Cancel)));
        await mirror.UntilStoredAsync($"{Repository}/blobs/{blob.Digest}");
        using var warm = await mirror.GetAsync($"{Repository}/blobs/{blob.Digest}");
        Assert.Equal(HttpStatusCode.TemporaryRedirect, warm.StatusCode);
        Assert.Equal(host, warm.Headers.Location!.Authority);
        // This machine's resolver may not know names below localhost.
        using var request = new HttpRequestMessage(
            HttpMethod.Get, new UriBuilder(warm.Headers.Location) { Host = "127.0.0.1" }.Uri);
        request.Headers.Host = warm.Headers.Location.Authority;
        using var sent = await Http.Client.SendAsync(request, Cancel);
        Assert.Equal(blob.Digest, Digest.Of(await sent.Content.ReadAsByteArrayAsync(Cancel)));
    }
}
