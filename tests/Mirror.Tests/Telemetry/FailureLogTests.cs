using System.Net;
using System.Text.RegularExpressions;
using Mirror.Storage;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Resilience;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Telemetry;

/// <summary>What fails for a client because of upstream, the store or the settings has a line that says what to do.</summary>
public sealed partial class FailureLogTests : MirrorOfHub
{
    private static readonly HubBlob Small = HubBlob.Seeded(5, 1000);

    public static TheoryData<string, HttpStatusCode, string> Failures => new()
    {
        { "upstream is away", HttpStatusCode.ServiceUnavailable, "error" },
        { "the token service is away", HttpStatusCode.ServiceUnavailable, "error" },
        { "the CDN is away", HttpStatusCode.ServiceUnavailable, "error" },
        { "upstream answers 500", HttpStatusCode.ServiceUnavailable, "error" },
        { "upstream answers 429", HttpStatusCode.TooManyRequests, "error" },
        { "upstream sends an HTML page", HttpStatusCode.ServiceUnavailable, "error" },
        { "upstream sends wrong bytes", HttpStatusCode.ServiceUnavailable, "error" },
        { "upstream refuses an anonymous mirror", HttpStatusCode.NotFound, "warning" },
        { "upstream refuses the mirror's account", HttpStatusCode.Forbidden, "warning" },
        { "the password for upstream is wrong", HttpStatusCode.ServiceUnavailable, "error" },
        { "ns names no upstream", HttpStatusCode.NotFound, "warning" },
        { "a push to a mirrored name", HttpStatusCode.Forbidden, "warning" },
        { "a push while the settings forbid writes", HttpStatusCode.MethodNotAllowed, "warning" },
        { "a delete while the settings forbid it", HttpStatusCode.MethodNotAllowed, "warning" },
    };

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task A_failure_that_the_client_did_not_cause_has_a_line_with_advice(string failure, HttpStatusCode status, string level)
    {
        await using var other = SettingsOf(failure) is { } settings ? await MirrorProcess.StartAsync(settings) : null;
        var mirror = other ?? Mirror;
        await BreakAsync(failure);

        using var response = await AskAsync(mirror, failure);

        Assert.Equal(status, response.StatusCode);
        await AssertLineAsync(mirror, failure, level);
        if (failure == "the password for upstream is wrong")
        {
            Assert.Equal(0, await mirror.MetricAsync("mirror_upstream_up"));
            await mirror.UntilLoggedOnceAsync(line => line.Contains("level=error", StringComparison.Ordinal)
                && line.Contains("refuses the login of account 0", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task A_pull_that_the_end_of_the_server_cuts_has_a_warning()
    {
        var gate = new Gate();
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(77, 1 << 20));
        Hub.Fault(blob.Digest, BlobFault.StalledAt(500_000, gate));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = Hub.Url,
            Environment = new Dictionary<string, string> { ["REGISTRY_HTTP_DRAINTIMEOUT"] = "100ms" },
        });
        using var pull = await mirror.GetAsync(BlobPath(blob.Digest));
        await gate.Reached;

        await mirror.StopAsync();

        Assert.Contains(mirror.Log, line =>
            line.Contains("level=warning") && line.Contains("while the server was stopping") && line.Contains($"{blob.Digest}"));
        gate.Open();
    }

    [Theory]
    [InlineData("full", 507)]
    [InlineData("read-only", 503)]
    public async Task A_push_that_the_store_does_not_take_has_a_line_with_advice(string trouble, int status)
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, Root = Path.Combine(volume.Path, "root") });
        if (trouble == "full")
            volume.FillUp();
        else
            await volume.RemountAsync("ro");

        using var request = new HttpRequestMessage(
            HttpMethod.Post, new Uri(mirror.Url, $"/v2/local/app/blobs/uploads/?digest={Digest.Of(new byte[9 << 20])}"));
        request.Content = new ByteArrayContent(new byte[9 << 20]);
        request.Headers.Add("X-Request-Id", trouble);
        using var response = await Http.Client.SendAsync(request, Cancel);

        Assert.Equal(status, (int)response.StatusCode);
        await AssertLineAsync(mirror, trouble, "error");
        await Until.TrueAsync(async () => await mirror.MetricAsync("mirror_store_writable") == 0, () => string.Join('\n', mirror.Log));
    }

    [Fact]
    public async Task A_push_that_is_larger_than_the_free_room_is_told_so_and_a_full_disk_answers_usage()
    {
        await using var volume = await LoopVolume.MountAsync(24, 160);
        var root = Path.Combine(volume.Path, "root");
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = Hub.Url, Root = root });
        volume.FillUp(leave: 1 << 20);
        using var request = new HttpRequestMessage(
            HttpMethod.Post, new Uri(mirror.Url, $"/v2/local/app/blobs/uploads/?digest={Digest.Of(new byte[3 << 20])}"));
        request.Content = new ByteArrayContent(new byte[3 << 20]);
        request.Headers.Add("X-Request-Id", "larger");
        using (var response = await Http.Client.SendAsync(request, Cancel))
            Assert.Equal(HttpStatusCode.InsufficientStorage, response.StatusCode);
        await AssertLineAsync(mirror, "larger", "error");
        var line = await LineAsync(mirror, "larger");
        Assert.Contains($"the volume of {root} has ", line, StringComparison.Ordinal);
        Assert.Contains($" bytes free, and the upload needs {3 << 20} more", line, StringComparison.Ordinal);
        // What a client asked for in vain is no reason to take the server for one that stores nothing.
        Assert.Equal(1, await mirror.MetricAsync("mirror_store_writable"));

        volume.FillUp();
        using var usage = await mirror.AskAdminAsync(HttpMethod.Get, "usage");
        Assert.True(usage.StatusCode is HttpStatusCode.OK or HttpStatusCode.InsufficientStorage, $"usage: {usage.StatusCode}");
    }

    [Theory]
    [InlineData("library/nginx/manifests/nope", HttpStatusCode.NotFound)]
    [InlineData("library/nginx/tags/list?n=x", HttpStatusCode.BadRequest)]
    public async Task What_the_client_did_wrong_wakes_no_operator(string path, HttpStatusCode status)
    {
        Hub.AddImage(Repository, "latest", Small);
        using var response = await Mirror.GetAsync(path, ("X-Request-Id", "wrong"));
        Assert.Equal(status, response.StatusCode);
        var line = await LineAsync(Mirror, "wrong");
        Assert.Contains("level=info", line, StringComparison.Ordinal);
        Assert.DoesNotContain("advice=", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_upstream_that_goes_away_and_comes_back_is_one_line_each()
    {
        Hub.AddImage(Repository, "latest", Small);
        await Hub.Registry.TakeDownAsync();
        for (var i = 0; i < 5; i++)
            (await Mirror.GetAsync(ManifestPath("latest"))).Dispose();
        await Hub.Registry.BringUpAsync();
        await Until.TrueAsync(
            async () =>
            {
                using var response = await Mirror.GetAsync(ManifestPath("latest"));
                return response.StatusCode == HttpStatusCode.OK;
            },
            () => string.Join('\n', Mirror.Log));

        await Mirror.UntilLoggedOnceAsync(line => line.Contains("level=error", StringComparison.Ordinal)
            && line.Contains(" cannot be used: Connection refused", StringComparison.Ordinal));
        await Mirror.UntilLoggedOnceAsync(line => line.Contains(" answers again, after ", StringComparison.Ordinal));
        Assert.Equal(1, await Mirror.MetricAsync("mirror_upstream_up"));
    }

    [Fact]
    public async Task A_registry_that_takes_logins_itself_and_refuses_ours_is_not_up()
    {
        using var upstream = new OrdinaryUpstream();
        foreach (var method in new[] { "GET", "HEAD" })
            foreach (var path in new[] { "", "app/manifests/1" })
                upstream.Answer(method, path, 401, [], ("WWW-Authenticate", "Basic realm=\"registry\""));
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = upstream.Url, Username = "ann", Password = "wrong" });

        for (var i = 0; i < 3; i++)
            (await mirror.GetAsync("app/manifests/1")).Dispose();

        Assert.Equal(0, await mirror.MetricAsync("mirror_upstream_up"));
        await mirror.UntilLoggedOnceAsync(line => line.Contains("refuses the login of account 0", StringComparison.Ordinal));
        Assert.DoesNotContain(mirror.Log, line => line.Contains(" answers again", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_request_that_a_failed_health_check_refuses_has_a_line_with_advice()
    {
        using var folder = new TempFolder();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = $"health: {{file: [{{file: {folder.Path}/maintenance, interval: 100ms}}]}}\n",
        });
        folder.Write("maintenance", "");
        var asked = 0;
        await Until.TrueAsync(
            async () =>
            {
                using var answer = await mirror.GetAsync("", ("X-Request-Id", $"ask{++asked}"));
                return answer.StatusCode == HttpStatusCode.ServiceUnavailable;
            },
            () => string.Join('\n', mirror.Log));
        await AssertLineAsync(mirror, $"ask{asked}", "error");
    }

    private MirrorSettings? SettingsOf(string failure) => failure switch
    {
        "upstream refuses the mirror's account" => new() { Upstream = Hub.Url, Username = "ann", Password = "right" },
        "the password for upstream is wrong" => new() { Upstream = Hub.Url, Username = "ann", Password = "wrong" },
        "ns names no upstream" => new() { Upstream = Hub.Url, Environment = Variable("REGISTRY_PROXY_NAME", "docker.io") },
        "a push while the settings forbid writes" =>
            new() { Environment = Variable("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true") },
        "a delete while the settings forbid it" => new() { Environment = Variable("REGISTRY_STORAGE_DELETE_ENABLED", "false") },
        _ => null,
    };

    private async Task BreakAsync(string failure)
    {
        Hub.AddImage(Repository, "latest", Small);
        Hub.Account = ("ann", "right");
        switch (failure)
        {
            case "upstream is away":
                await Hub.Registry.TakeDownAsync();
                break;
            case "the token service is away":
                await Hub.Token.TakeDownAsync();
                break;
            case "the CDN is away":
                await Hub.Cdn.TakeDownAsync();
                break;
            case "upstream answers 500":
                Hub.Script(Asked.Manifest, Answer.Status(500));
                break;
            case "upstream answers 429":
                Hub.Script(Asked.Manifest, Answer.TooManyRequests());
                break;
            case "upstream sends an HTML page":
                Hub.Script(Asked.Manifest, Answer.Html());
                break;
            case "upstream sends wrong bytes":
                Hub.Fault(Small.Digest, BlobFault.WrongByteAt(1), times: 3);
                break;
            case "upstream refuses an anonymous mirror" or "upstream refuses the mirror's account":
                Hub.Script(Asked.Manifest, Answer.RefusedDespiteToken);
                break;
        }
    }

    private static async Task<HttpResponseMessage> AskAsync(MirrorProcess mirror, string failure)
    {
        var header = ("X-Request-Id", failure);
        return failure switch
        {
            "the CDN is away" or "upstream sends wrong bytes" => await mirror.GetAsync(BlobPath(Small.Digest), header),
            "ns names no upstream" => await mirror.GetAsync(ManifestPath("latest") + "?ns=elsewhere.example", header),
            "a push to a mirrored name" or "a push while the settings forbid writes" =>
                await mirror.SendAsync(HttpMethod.Post, $"{Repository}/blobs/uploads/", header),
            "a delete while the settings forbid it" => await mirror.SendAsync(HttpMethod.Delete, ManifestPath("latest"), header),
            _ => await mirror.GetAsync(ManifestPath("latest"), header),
        };
    }

    private static Dictionary<string, string> Variable(string name, string value) => new() { [name] = value };

    private static async Task<string> LineAsync(MirrorProcess mirror, string id)
    {
        string? line = null;
        await Until.TrueAsync(
            () => (line = mirror.Log.FirstOrDefault(l => RequestId().Match(l).Groups["id"].Value == id)) is not null,
            () => $"No line of {id}:\n{string.Join('\n', mirror.Log)}");
        return line!;
    }

    private static async Task AssertLineAsync(MirrorProcess mirror, string id, string level)
    {
        var line = await LineAsync(mirror, id);
        Assert.Contains($"level={level} msg=\"response completed with error\"", line, StringComparison.Ordinal);
        Assert.Matches(Advice(), line);
    }

    [GeneratedRegex(" http.request.xrequestid=\"?(?<id>[^\"]*?)\"? http.request.method")]
    private static partial Regex RequestId();

    [GeneratedRegex(" advice=\"[^\"]{10,}\"")]
    private static partial Regex Advice();
}
