using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Telemetry;

/// <summary>Section <c>health</c>, as a load balancer sees it.</summary>
public sealed class HealthTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_file_makes_the_registry_unhealthy_while_it_exists()
    {
        using var folder = new TempFolder();
        var file = folder["out"];
        await using var mirror = await StartAsync($"file: [{{file: {file}, interval: 1s}}]");
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(mirror, ""));
        Assert.Equal("{}", await HealthAsync(mirror, HttpStatusCode.OK));

        folder.Write("out", "");
        await UntilAsync(mirror, HttpStatusCode.ServiceUnavailable);
        var answer = await HealthAsync(mirror, HttpStatusCode.ServiceUnavailable);
        Assert.Equal("file exists", JsonDocument.Parse(answer).RootElement.GetProperty(file).GetString());
        using (var refused = await mirror.GetAsync("local/app/manifests/1"))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            var body = await refused.Content.ReadAsStringAsync(Cancel);
            Assert.Contains("UNAVAILABLE", body, StringComparison.Ordinal);
            Assert.DoesNotContain(file, body, StringComparison.Ordinal);
        }
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await Http.Client.GetAsync(new Uri(mirror.Url, "/"), Cancel)).StatusCode);

        File.Delete(file);
        await UntilAsync(mirror, HttpStatusCode.OK);
        Assert.Equal("{}", await HealthAsync(mirror, HttpStatusCode.OK));
        Assert.Equal(HttpStatusCode.OK, (await Http.Client.GetAsync(new Uri(mirror.Url, "/"), Cancel)).StatusCode);
        // Logged at the first failure and at the end, not at each check.
        await Until.TrueAsync(
            () => mirror.Log.Any(line => line.Contains("succeeds again", StringComparison.Ordinal)), () => string.Join('\n', mirror.Log));
        await mirror.UntilLoggedOnceAsync(line => line.Contains("fails: file exists", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_that_cannot_be_looked_for_makes_the_registry_unhealthy()
    {
        using var folder = new TempFolder();
        // A folder that no one can enter, root included.
        File.CreateSymbolicLink(folder["loop"], folder["loop"]);
        await using var mirror = await StartAsync($"file: [{{file: {folder["loop"]}/down, interval: 1s}}]");
        await UntilAsync(mirror, HttpStatusCode.ServiceUnavailable);
        Assert.DoesNotContain("file exists", await HealthAsync(mirror, HttpStatusCode.ServiceUnavailable), StringComparison.Ordinal);

        File.Delete(folder["loop"]);
        await UntilAsync(mirror, HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_wrong_status_counts_after_as_many_failures_as_the_threshold()
    {
        var url = new Uri($"http://127.0.0.1:{Ports.Free()}/well");
        const int teapot = 418;
        var (status, checks) = (teapot, 0);
        await using var server = await OwnServer.StartAsync(url, http =>
        {
            if (http.Request is { Method: "HEAD", Path.Value: "/well" } && http.Request.Headers["X-Who"] == "me")
                Interlocked.Increment(ref checks);
            http.Response.StatusCode = status;
            return Task.CompletedTask;
        });
        await using var mirror = await StartAsync(
            $"http: [{{uri: \"{url}\", statuscode: 418, headers: {{X-Who: [me]}}, interval: 1s, threshold: 3}}]");
        await Until.TrueAsync(() => Volatile.Read(ref checks) >= 2, () => "The mirror does not check.");
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(mirror, ""));

        var before = Volatile.Read(ref checks);
        status = 200;
        await UntilAsync(mirror, HttpStatusCode.ServiceUnavailable);
        Assert.True(Volatile.Read(ref checks) - before >= 3, $"after {checks - before} checks");
        Assert.Contains("unexpected status: 200", await HealthAsync(mirror, HttpStatusCode.ServiceUnavailable), StringComparison.Ordinal);

        status = teapot;
        await UntilAsync(mirror, HttpStatusCode.OK);
    }

    [Fact]
    public async Task Configured_headers_replace_the_login_of_the_address()
    {
        var (url, checks) = (new Uri($"http://127.0.0.1:{Ports.Free()}/well"), 0);
        await using var server = await OwnServer.StartAsync(url, http =>
        {
            Interlocked.Increment(ref checks);
            http.Response.StatusCode = http.Request.Headers.Authorization == "Bearer abc" ? 200 : 401;
            return Task.CompletedTask;
        });
        var address = new UriBuilder(url) { UserName = "me", Password = "secret" }.Uri;
        await using var mirror = await StartAsync(
            $"http: [{{uri: \"{address}\", headers: {{authorization: [Bearer abc], Transfer-Encoding: [chunked], Content-Type: [a/b]}}, "
            + "interval: 1s}]");

        // The third check begins when the second one has its result.
        await Until.TrueAsync(() => Volatile.Read(ref checks) >= 3, () => string.Join('\n', mirror.Log));
        Assert.Equal("{}", await HealthAsync(mirror, HttpStatusCode.OK));
    }

    [Fact]
    public async Task An_address_that_refuses_connections_is_unhealthy()
    {
        var address = $"127.0.0.1:{Ports.Free()}";
        await using var mirror = await StartAsync($"tcp: [{{addr: \"{address}\", interval: 1s, timeout: 1s}}]");
        await UntilAsync(mirror, HttpStatusCode.ServiceUnavailable);
        Assert.Contains(address, await HealthAsync(mirror, HttpStatusCode.ServiceUnavailable), StringComparison.Ordinal);

        using var listener = new TcpListener(IPEndPoint.Parse(address));
        listener.Start();
        await UntilAsync(mirror, HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_check_that_hangs_delays_no_other()
    {
        using var folder = new TempFolder();
        var (url, asked) = (new Uri($"http://127.0.0.1:{Ports.Free()}/"), new TaskCompletionSource());
        await using var server = await OwnServer.StartAsync(url, async http =>
        {
            asked.TrySetResult();
            await Task.Delay(Timeout.Infinite, http.RequestAborted);
        });
        await using var mirror = await StartAsync(
            $"{{http: [{{uri: \"{url}\", interval: 1s, timeout: 1h}}], file: [{{file: {folder["out"]}, interval: 1s}}]}}");
        await asked.Task.WaitAsync(Cancel);

        folder.Write("out", "");
        await UntilAsync(mirror, HttpStatusCode.ServiceUnavailable);
        File.Delete(folder["out"]);
        await UntilAsync(mirror, HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_check_follows_no_redirect_and_its_query_stays_secret()
    {
        var (url, elsewhere, strayed) = (new Uri($"http://127.0.0.1:{Ports.Free()}/well"), new Uri($"http://127.0.0.1:{Ports.Free()}/"), 0);
        await using var other = await OwnServer.StartAsync(elsewhere, _ =>
        {
            Interlocked.Increment(ref strayed);
            return Task.CompletedTask;
        });
        await using var server = await OwnServer.StartAsync(url, http =>
        {
            http.Response.Redirect(elsewhere.AbsoluteUri);
            return Task.CompletedTask;
        });
        await using var mirror = await StartAsync($"http: [{{uri: \"{url}?token=canary\", headers: {{X-Key: [canary]}}, interval: 1s}}]");

        await UntilAsync(mirror, HttpStatusCode.ServiceUnavailable);
        var answer = await HealthAsync(mirror, HttpStatusCode.ServiceUnavailable);
        Assert.Contains("unexpected status: 302", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", answer + string.Join('\n', mirror.Log), StringComparison.Ordinal);
        Assert.Equal(0, strayed);
    }

    [Fact]
    public async Task The_store_is_healthy_while_it_answers()
    {
        await using var mirror = await StartAsync("storagedriver: {enabled: true, interval: 1s}");
        Assert.Equal("{}", await HealthAsync(mirror, HttpStatusCode.OK));

        // A file in place of the folder. Requests that do not need the store are still answered.
        Directory.Move(mirror.Root, mirror.Root + ".away");
        await File.WriteAllTextAsync(mirror.Root, "", Cancel);
        await UntilAtTopAsync(HttpStatusCode.ServiceUnavailable);
        Assert.Contains("storagedriver_filesystem", await HealthAsync(mirror, HttpStatusCode.ServiceUnavailable), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(mirror, ""));

        File.Delete(mirror.Root);
        Directory.Move(mirror.Root + ".away", mirror.Root);
        await UntilAtTopAsync(HttpStatusCode.OK);

        Task UntilAtTopAsync(HttpStatusCode status) => Until.TrueAsync(async () =>
        {
            using var response = await Http.Client.GetAsync(new Uri(mirror.Url, "/"), Cancel);
            return response.StatusCode == status;
        }, () => $"/ does not become {status}:\n{string.Join('\n', mirror.Log)}");
    }

    private static Task<MirrorProcess> StartAsync(string check)
    {
        MirrorProcess.Availability.OrSkip();
        return MirrorProcess.StartAsync(new MirrorSettings { More = $"health:\n  {check}\n" });
    }

    private static async Task<HttpStatusCode> StatusAsync(MirrorProcess mirror, string path)
    {
        using var response = await mirror.GetAsync(path);
        return response.StatusCode;
    }

    private static Task UntilAsync(MirrorProcess mirror, HttpStatusCode status) => Until.TrueAsync(
        async () => await StatusAsync(mirror, "") == status, () => $"It does not become {status}:\n{string.Join('\n', mirror.Log)}");

    private static async Task<string> HealthAsync(MirrorProcess mirror, HttpStatusCode status)
    {
        using var response = await Http.Client.GetAsync(new Uri(mirror.Debug, "/debug/health"), Cancel);
        Assert.Equal(status, response.StatusCode);
        return await response.Content.ReadAsStringAsync(Cancel);
    }
}
