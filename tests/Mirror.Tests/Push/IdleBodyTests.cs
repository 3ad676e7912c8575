using System.Net;
using System.Net.Sockets;
using System.Text;
using Mirror.Storage;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>Clients that open the request of a push and send its body later: <c>http.idle_timeout</c>.</summary>
public sealed class IdleBodyTests
{
    // Kestrel's own lowest rate would end a request that brings nothing for its first five seconds.
    private static readonly TimeSpan BeyondKestrelsGrace = TimeSpan.FromSeconds(7);

    [Fact]
    public async Task A_push_that_sends_its_first_byte_late_is_taken()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        var repository = new PushedRepository(mirror, "local/app");
        var config = await repository.PushAsync("{}"u8.ToArray());
        var (layer, manifest) = ("a layer"u8.ToArray(), Manifest(config));
        var upload = new Uri(await repository.BeginAsync());
        using var blob = await OpenAsync(mirror, "PUT", $"{upload.AbsolutePath}?digest={Digest.Of(layer)}", "a/b", layer.Length);
        using var tag = await OpenAsync(mirror, "PUT", "/v2/local/app/manifests/1", OciManifest, manifest.Length);

        // An answer now would be an error.
        Task<string?>[] answers = [AnswerAsync(blob), AnswerAsync(tag)];
        await Task.WhenAny([.. answers, Task.Delay(BeyondKestrelsGrace, TestContext.Current.CancellationToken)]);
        Assert.DoesNotContain(answers, answer => answer.IsCompleted);

        await blob.GetStream().WriteAsync(layer, TestContext.Current.CancellationToken);
        await tag.GetStream().WriteAsync(manifest, TestContext.Current.CancellationToken);
        Assert.All(await Task.WhenAll(answers), answer => Assert.Equal("HTTP/1.1 201 Created", answer));
    }

    [Fact]
    public async Task A_push_that_sends_nothing_for_the_configured_time_is_cut_and_can_go_on()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string> { ["REGISTRY_HTTP_IDLE_TIMEOUT"] = "2s" },
        });
        var repository = new PushedRepository(mirror, "local/app");
        var location = await repository.BeginAsync();
        using var patch = await OpenAsync(mirror, "PATCH", new Uri(location).AbsolutePath, "a/b", 1000);
        using var put = await OpenAsync(mirror, "PUT", "/v2/local/app/manifests/1", OciManifest, 1000);
        Assert.All(
            await Task.WhenAll(AnswerAsync(patch), AnswerAsync(put)), answer => Assert.Equal("HTTP/1.1 408 Request Timeout", answer));
        using var rest = await repository.SendAsync("PUT", $"{location}?digest={Digest.Of("all of it"u8)}", "all of it"u8.ToArray());
        Assert.Equal(HttpStatusCode.Created, rest.StatusCode);
    }

    // 400 files are 49 places for connections, each with its body's file.
    [Fact]
    public async Task Bodies_that_have_hardly_begun_take_no_files_so_that_more_of_them_have_room_and_others_too()
    {
        if (Availability.Of("prlimit") is { IsAvailable: false } missing)
            missing.OrSkip();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Limits = "--nofile=400" });
        var repository = new PushedRepository(mirror, "local/app");
        var manifest = Manifest(await repository.PushAsync("{}"u8.ToArray()));
        List<(TcpClient Client, byte[] Body)> bodies = [];
        try
        {
            for (var i = 0; i < 30; i++)
                bodies.Add((await OpenAsync(mirror, "PUT", $"/v2/local/app/manifests/{i}", OciManifest, manifest.Length), manifest));
            for (var i = 0; i < 30; i++)
            {
                byte[] layer = [(byte)i, .. "a layer"u8];
                var path = $"{new Uri(await repository.BeginAsync()).AbsolutePath}?digest={Digest.Of(layer)}";
                bodies.Add((await OpenAsync(mirror, "PUT", path, "a/b", layer.Length), layer));
            }
            foreach (var (client, body) in bodies)
                await client.GetStream().WriteAsync(body.AsMemory(0, 1), TestContext.Current.CancellationToken);
            using (var other = new HttpClient())
            using (var answer = await other.GetAsync(mirror.Url, TestContext.Current.CancellationToken))
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            foreach (var (client, body) in bodies)
            {
                await client.GetStream().WriteAsync(body.AsMemory(1), TestContext.Current.CancellationToken);
                Assert.Equal("HTTP/1.1 201 Created", await AnswerAsync(client));
                client.Close();
            }
        }
        finally
        {
            bodies.ForEach(each => each.Client.Dispose());
        }
    }

    [Fact]
    public async Task A_push_that_drips_is_cut_after_the_configured_time_and_can_go_on()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string> { ["REGISTRY_HTTP_IDLE_TIMEOUT"] = "3s" },
        });
        var repository = new PushedRepository(mirror, "local/app");
        var location = await repository.BeginAsync();
        using var patch = await OpenAsync(mirror, "PATCH", new Uri(location).AbsolutePath, "a/b", 1000);
        var answer = AnswerAsync(patch);
        // A byte a time is far below 240 bytes a second, and never idle for long.
        for (var sent = 0; sent < 700 && !answer.IsCompleted; sent++)
        {
            await patch.GetStream().WriteAsync(new byte[1], TestContext.Current.CancellationToken);
            await Task.WhenAny(answer, Task.Delay(100, TestContext.Current.CancellationToken));
        }
        Assert.Equal("HTTP/1.1 408 Request Timeout", await answer);
        await mirror.UntilLoggedAsync(line => line.Contains("are too few", StringComparison.Ordinal)
            || line.Contains("no bytes arrived", StringComparison.Ordinal));
        // What arrived is kept.
        using var status = await repository.SendAsync("GET", location);
        Assert.Equal(HttpStatusCode.NoContent, status.StatusCode);
        Assert.NotEqual("0-0", Header(status, "Range"));
    }

    [Fact]
    public async Task A_form_or_a_document_for_the_administrator_that_never_comes_is_cut()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string> { ["REGISTRY_HTTP_IDLE_TIMEOUT"] = "2s" },
        });
        const string form = "application/x-www-form-urlencoded";
        using var login = await OpenAsync(mirror, "POST", "/ui/login", form, 10);
        using var pin = await OpenAsync(mirror, "POST", "/ui/pin", form, 10);
        var token = $"application/json\r\nAuthorization: {mirror.AdminLogin}";
        using var purge = await OpenAsync(mirror, "POST", "/mirror/v1/purge", token, 10, mirror.Debug);
        Assert.All(
            await Task.WhenAll(AnswerAsync(login), AnswerAsync(pin), AnswerAsync(purge)),
            answer => Assert.Equal("HTTP/1.1 408 Request Timeout", answer));
    }

    // Sends the head of a request, without any of its body.
    private static async Task<TcpClient> OpenAsync(
        MirrorProcess mirror, string method, string target, string type, int length, Uri? server = null)
    {
        var client = new TcpClient();
        server ??= mirror.Url;
        await client.ConnectAsync(server.Host, server.Port, TestContext.Current.CancellationToken);
        var head = $"{method} {target} HTTP/1.1\r\nHost: {server.Authority}\r\nContent-Type: {type}\r\nContent-Length: {length}\r\n\r\n";
        await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(head), TestContext.Current.CancellationToken);
        return client;
    }

    private static async Task<string?> AnswerAsync(TcpClient client)
    {
        using var reader = new StreamReader(client.GetStream(), Encoding.Latin1, leaveOpen: true);
        return await reader.ReadLineAsync(TestContext.Current.CancellationToken);
    }
}
