using Mirror.Commands;
using Mirror.Tests.Peers;
using Mirror.Tests.S3;
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
    public async Task What_other_stores_refuse_is_told_in_words(int status, string reason, string words)
    {
        using var store = WireMockServer.Start();
        store.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(status).WithHeader("Content-Type", "application/xml")
            .WithBody($"<Error><Code>{reason}</Code><Message>no</Message></Error>"));
        var (code, error) = await CheckAsync(BucketDriver.Of(new Uri(store.Url!), "test"));
        Assert.Equal(1, code);
        Assert.Contains(words, error, StringComparison.Ordinal);
    }

    private async Task<(int Code, string Error)> CheckAsync(string driver)
    {
        var file = _folder.Write("config.yml", $"version: 0.1\nstorage:\n{driver}");
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await CommandLine.RunAsync(["check-config", file, "--online"], new Dictionary<string, string>(), output, error);
        return (code, error.ToString());
    }
}
