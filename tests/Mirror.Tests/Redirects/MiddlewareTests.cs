using System.Net;
using System.Security.Cryptography;
using System.Text;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.Stores;
using WireMock.RequestBuilders;
using WireMock.ResponseBuilders;
using WireMock.Server;
using Xunit;

namespace Mirror.Tests.Redirects;

/// <summary>Section <c>middleware.storage</c>: where clients are sent for blobs.</summary>
public sealed class MiddlewareTests : IDisposable
{
    private static readonly byte[] Bytes = Encoding.UTF8.GetBytes("layer");
    private static readonly Digest Blob = Digest.Of(Bytes);

    private static readonly string Path = $"/{RegistryLayout.BlobData(Blob)}";

    private readonly TempFolder _folder = new();
    private readonly RSA _key = RSA.Create(2048);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _folder.Dispose();
        _key.Dispose();
    }

    [Fact]
    public async Task Redirect_sends_clients_of_a_folder_to_another_server_below_its_path()
    {
        MirrorProcess.Availability.OrSkip();
        await using var mirror = await StartAsync(driver: null, "{name: redirect, options: {baseurl: 'https://cdn.example/layers/'}}");
        Assert.Equal($"https://cdn.example/layers{Path}", (await LocationAsync(mirror))!.OriginalString);
        await mirror.UntilLoggedAsync(line => line.Contains("registry:2 left it out", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_disabled_one_changes_nothing_and_a_folder_has_no_address()
    {
        MirrorProcess.Availability.OrSkip();
        await using var mirror = await StartAsync(
            driver: null, "{name: redirect, disabled: true, options: {baseurl: 'https://cdn.example'}}");
        Assert.Null(await LocationAsync(mirror));
    }

    [Fact]
    public async Task Rewrite_changes_the_stores_own_address_and_keeps_its_query()
    {
        MirrorProcess.Availability.OrSkip();
        await using var mirror = await StartAsync(
            await BucketAsync(), $"{{name: rewrite, options: {{scheme: https, host: cdn.example, trimpathprefix: /{Radosgw.Bucket}/}}}}");
        var address = (await LocationAsync(mirror))!;
        Assert.Equal(("https", "cdn.example", $"/layers{Path}"), (address.Scheme, address.Authority, address.AbsolutePath));
        Assert.Contains("X-Amz-Signature=", address.Query, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rewrite_leaves_the_slash_with_which_a_name_in_a_container_of_registry_2_begins()
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(StoreKind.Azure);
        var (own, cut) = (await PathAsync("{name: redirect, disabled: true, options: {baseurl: 'https://cdn.example'}}"), "");
        var prefix = own[..own.IndexOf("//", StringComparison.Ordinal)];
        Assert.NotEmpty(prefix);
        foreach (var end in new[] { "", "/" })
        {
            cut = await PathAsync($"{{name: rewrite, options: {{host: cdn.example, trimpathprefix: {prefix}{end}}}}}");
            Assert.Equal(own[prefix.Length..], cut);
        }

        async Task<string> PathAsync(string entry)
        {
            await using var mirror = await StartAsync(store.DirectDriver, entry);
            return (await LocationAsync(mirror))!.AbsolutePath;
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Cloudfront_signs_the_address_of_the_distribution_as_its_own_library_does(bool isFile)
    {
        MirrorProcess.Availability.OrSkip();
        _folder.Write("key.pem", isFile ? _key.ExportRSAPrivateKeyPem() : _key.ExportPkcs8PrivateKeyPem());
        var key = isFile ? _folder["key.pem"] : $"\"{_key.ExportPkcs8PrivateKeyPem().Replace("\n", "\\n", StringComparison.Ordinal)}\"";
        await using var mirror = await StartAsync(await BucketAsync(), CloudFront(key, "duration: 1h"));
        var address = (await LocationAsync(mirror))!;
        var url = $"https://d111.cloudfront.net/layers{Path}";
        Assert.Equal(url, address.GetLeftPart(UriPartial.Path));
        var query = Query(address);
        Assert.Equal("K2", query["Key-Pair-Id"]);
        var expires = DateTimeOffset.FromUnixTimeSeconds(long.Parse(query["Expires"], System.Globalization.CultureInfo.InvariantCulture));
        Assert.InRange(expires, DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddHours(1));
        AssertSigned(url, query["Expires"], query["Signature"]);

        Availability.Of("node", "npm").OrSkip();
        var modules = (await PeerProcess.RunAsync("npm", ["root", "-g"])).Trim();
        Assert.SkipUnless(Directory.Exists($"{modules}/@aws-sdk/cloudfront-signer"), "npm's @aws-sdk/cloudfront-signer is not installed");
        _folder.Write("sign.js", $$"""
            const { getSignedUrl } = require('{{modules}}/@aws-sdk/cloudfront-signer');
            const privateKey = require('fs').readFileSync('{{_folder["key.pem"]}}', 'utf8');
            process.stdout.write(getSignedUrl({ url: '{{url}}', keyPairId: 'K2', privateKey, dateLessThan: '{{expires:O}}' }));
            """);
        var theirs = new Uri(await PeerProcess.RunAsync("node", [_folder["sign.js"]]));
        Assert.Equal(address.Query[1..].Split('&').Order(), theirs.Query[1..].Split('&').Order());
    }

    [Theory]
    [InlineData("ipfilteredby: AWS", "127.0.0.0/8", "eu-central-1", true)]
    [InlineData("ipfilteredby: aws", "10.0.0.0/8", "eu-central-1", false)]
    [InlineData("ipfilteredby: awsregion, awsregion: 'us-east-1, eu-central-1'", "127.0.0.0/8", "eu-central-1", true)]
    [InlineData("ipfilteredby: awsregion, awsregion: us-east-1", "127.0.0.0/8", "eu-central-1", false)]
    public async Task Clients_in_aws_are_sent_to_the_bucket(string filter, string network, string region, bool isSentToBucket)
    {
        MirrorProcess.Availability.OrSkip();
        var driver = await BucketAsync();
        _folder.Write("key.pem", _key.ExportRSAPrivateKeyPem());
        using var ranges = WireMockServer.Start();
        ranges.Given(Request.Create().WithPath("/ranges.json")).RespondWith(Response.Create().WithBody(
            $$"""{"prefixes":[{"ip_prefix":"{{network}}","region":"{{region}}","service":"S3"}],"ipv6_prefixes":[]}"""));
        await using var mirror = await StartAsync(
            driver, CloudFront(_folder["key.pem"], $"iprangesurl: '{ranges.Url}/ranges.json', updatefrenquency: 1h, {filter}"));
        await mirror.UntilLoggedAsync(line => line.Contains("networks of AWS", StringComparison.Ordinal));
        var address = (await LocationAsync(mirror))!;
        Assert.Equal(isSentToBucket, address.Host == "127.0.0.1");
    }

    [Theory]
    [InlineData("'https://bücher.example/ä'", "https://xn--bcher-kva.example/%C3%A4")]
    [InlineData("bücher.example", "https://xn--bcher-kva.example")]
    [InlineData("' HTTPS://D111.cloudfront.net '", "https://d111.cloudfront.net")]
    public async Task The_signature_is_about_the_address_that_clients_get(string baseUrl, string sent)
    {
        MirrorProcess.Availability.OrSkip();
        _folder.Write("key.pem", _key.ExportRSAPrivateKeyPem());
        await using var mirror = await StartAsync(await BucketAsync(), CloudFront(_folder["key.pem"], "duration: 1h", baseUrl));
        var address = (await LocationAsync(mirror))!;
        var url = $"{sent}/layers{Path}";
        Assert.Equal(url, address.OriginalString.Split('?')[0]);
        AssertSigned(url, Query(address)["Expires"], Query(address)["Signature"]);
    }

    [Fact]
    public async Task Cloudfront_signs_the_key_of_the_object_as_it_is()
    {
        MirrorProcess.Availability.OrSkip();
        _folder.Write("key.pem", _key.ExportRSAPrivateKeyPem());
        await using var mirror = await StartAsync(await BucketAsync("layers//deep"), CloudFront(_folder["key.pem"], "duration: 1h"));
        Assert.Equal(
            $"https://d111.cloudfront.net/layers//deep{Path}", (await LocationAsync(mirror))!.GetLeftPart(UriPartial.Path));
    }

    private void AssertSigned(string url, string expires, string signature)
    {
        var policy = Encoding.UTF8.GetBytes(
            $$$$"""{"Statement":[{"Resource":"{{{{url}}}}","Condition":{"DateLessThan":{"AWS:EpochTime":{{{{expires}}}}}}}]}""");
        var bytes = Convert.FromBase64String(signature.Replace('-', '+').Replace('_', '=').Replace('~', '/'));
#pragma warning disable CA5350 // CloudFront accepts no other hash.
        Assert.True(_key.VerifyData(policy, bytes, HashAlgorithmName.SHA1, RSASignaturePadding.Pkcs1));
#pragma warning restore CA5350
    }

    private static Dictionary<string, string> Query(Uri address) =>
        address.Query[1..].Split('&').Select(pair => pair.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]);

    private static string CloudFront(string key, string more, string baseUrl = "d111.cloudfront.net") =>
        $"{{name: cloudfront, options: {{baseurl: {baseUrl}, privatekey: {key}, keypairid: K2, {more}}}}}";

    private static async Task<string> BucketAsync(string root = "layers") => S3.BucketDriver.Of(
        (await SharedRadosgw.OrSkipAsync()).Url, root);

    private static Task<MirrorProcess> StartAsync(string? driver, string entry) =>
        MirrorProcess.StartAsync(new MirrorSettings { Driver = driver, More = $"middleware:\n  storage:\n    - {entry}\n" });

    // Where a client is sent for a blob that is pushed before; null: it gets the bytes.
    private static async Task<Uri?> LocationAsync(MirrorProcess mirror)
    {
        using var body = new ByteArrayContent(Bytes);
        using var pushed = await Http.Client.PostAsync(
            new Uri(mirror.Url, $"/v2/local/app/blobs/uploads/?digest={Blob}"), body, Cancel);
        Assert.Equal(HttpStatusCode.Created, pushed.StatusCode);
        using var answer = await mirror.GetAsync($"local/app/blobs/{Blob}");
        if (answer.StatusCode is HttpStatusCode.TemporaryRedirect)
            return answer.Headers.Location;
        Assert.Equal(Bytes, await answer.Content.ReadAsByteArrayAsync(Cancel));
        return null;
    }
}
