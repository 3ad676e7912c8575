using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Notifications;

public sealed class NotificationTests : IAsyncLifetime
{
    private static readonly ImageTypes Types = new(Oci: true);

    private readonly EventReceiver _receiver = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => _receiver.DisposeAsync();

    [Fact]
    public async Task Events_arrive_in_order_and_in_the_format_of_registry_2()
    {
        await _receiver.StartAsync();
        await using var mirror = await StartAsync("headers:\n        Authorization: [Bearer abc]", references: true);
        var (config, layer) = (await PushBlobAsync(mirror, "config"), await PushBlobAsync(mirror, "layer!"));
        var manifest = await PushImageAsync(mirror, "1", config, layer);
        (await mirror.HeadAsync("t/a/manifests/1")).Dispose();
        (await mirror.GetAsync("t/a/manifests/1")).Dispose();
        (await mirror.GetAsync($"t/a/blobs/{layer}")).Dispose();
        (await SendAsync(mirror, HttpMethod.Post, $"t/b/blobs/uploads/?mount={layer}&from=t/a")).Dispose();
        (await SendAsync(mirror, HttpMethod.Delete, "t/a/manifests/1")).Dispose();
        (await SendAsync(mirror, HttpMethod.Delete, $"t/a/manifests/{manifest}")).Dispose();

        await _receiver.UntilAsync(9);
        Assert.Equal(["push", "push", "push", "pull", "pull", "pull", "mount", "delete", "delete"], _receiver.Actions);
        var push = _receiver.Events[2];
        var target = push.GetProperty("target");
        Assert.Equal(
            (Types.Manifest, manifest.ToString(), "t/a", "1", $"{mirror.Url}v2/t/a/manifests/{manifest}"),
            (Text(target, "mediaType"), Text(target, "digest"), Text(target, "repository"), Text(target, "tag"), Text(target, "url")));
        Assert.Equal(target.GetProperty("size").GetInt64(), target.GetProperty("length").GetInt64());
        var references = target.GetProperty("references").EnumerateArray().Select(reference => Text(reference, "digest"));
        Assert.Equal([config.ToString(), layer.ToString()], references);
        var request = push.GetProperty("request");
        Assert.Equal(("PUT", mirror.Authority), (Text(request, "method"), Text(request, "host")));
        Assert.EndsWith($":{mirror.Url.Port}", push.GetProperty("source").GetProperty("addr").GetString(), StringComparison.Ordinal);
        Assert.EndsWith("Z", push.GetProperty("timestamp").GetString(), StringComparison.Ordinal);
        Assert.Equal("t/a", _receiver.Events[6].GetProperty("target").GetProperty("fromRepository").GetString());
        Assert.Equal("1", _receiver.Events[7].GetProperty("target").GetProperty("tag").GetString());
        Assert.False(_receiver.Events[8].GetProperty("target").TryGetProperty("mediaType", out _));
        Assert.Equal(9, _receiver.Events.Select(e => e.GetProperty("id").GetString()).Distinct().Count());
        const string type = "application/vnd.docker.distribution.events.v2+json";
        Assert.All(_receiver.Headers, headers => Assert.Equal(("Bearer abc", type), headers));
        await UntilMetricAsync(mirror, 9, "registry_notifications_events_total", ("type", "Successes"), ("endpoint", "spy"));
        Assert.Equal(0, await mirror.MetricAsync("registry_notifications_pending_total", ("endpoint", "spy")));
        Assert.True(await mirror.MetricAsync("registry_notifications_status_total", ("code", "200 OK"), ("endpoint", "spy")) > 0);
    }

    [Fact]
    public async Task A_configured_content_type_replaces_the_servers_own_and_what_belongs_to_the_connection_is_left_out()
    {
        await _receiver.StartAsync();
        const string type = "application/vnd.docker.distribution.events.v1+json";
        await using var mirror = await StartAsync(
            $"headers: {{Content-Type: [{type}], Content-Language: [en], Expires: [\"0\"], Content-Length: [\"1\"], "
            + "Transfer-Encoding: [gzip]}");
        var digest = await PushBlobAsync(mirror, "blob");

        await _receiver.UntilAsync(1);
        Assert.Equal([digest.ToString()], _receiver.Digests);
        Assert.Equal(("", type), Assert.Single(_receiver.Headers));
    }

    [Fact]
    public async Task A_refused_event_is_sent_again_before_newer_ones()
    {
        _receiver.Answers = request => request switch
        {
            < 4 => HttpStatusCode.InternalServerError,
            5 => HttpStatusCode.Found,
            7 => HttpStatusCode.BadGateway,
            _ => HttpStatusCode.OK,
        };
        await _receiver.StartAsync();
        await using var mirror = await StartAsync("threshold: 3\n      backoff: 100ms");
        List<Digest> pushed = [];
        for (var i = 0; i < 20; i++)
            pushed.Add(await PushBlobAsync(mirror, $"blob {i}"));

        await _receiver.UntilAsync(20);
        Assert.Equal(pushed.Select(digest => digest.ToString()), _receiver.Digests);
        Assert.True(await mirror.MetricAsync("registry_notifications_events_total", ("type", "Failures")) >= 4);
    }

    [Fact]
    public async Task No_event_is_lost_when_the_server_stops_or_is_killed()
    {
        await using var mirror = await StartAsync("backoff: 100ms");
        List<Digest> pushed = [];
        for (var i = 0; i < 10; i++)
            pushed.Add(await PushBlobAsync(mirror, $"before {i}"));
        await mirror.KillAsync();
        await mirror.StartAgainAsync();
        for (var i = 0; i < 10; i++)
            pushed.Add(await PushBlobAsync(mirror, $"after {i}"));
        await mirror.StopAsync();

        await _receiver.StartAsync();
        await mirror.StartAgainAsync();
        await _receiver.UntilAsync(20);
        Assert.Equal(pushed.Select(digest => digest.ToString()), _receiver.Digests);
        // A delivery is recorded after the answer. If the server stopped in between, it would send the events again.
        await UntilMetricAsync(mirror, 0, "registry_notifications_pending_total", ("endpoint", "spy"));
        await mirror.StopAsync();
        await mirror.StartAgainAsync();
        pushed.Add(await PushBlobAsync(mirror, "last"));
        await _receiver.UntilAsync(21);
        Assert.Equal(pushed.Select(digest => digest.ToString()), _receiver.Digests);
    }

    [Fact]
    public async Task Ignored_events_are_not_sent()
    {
        await _receiver.StartAsync();
        await using var mirror = await StartAsync("ignoredmediatypes: [application/octet-stream]\n      ignore:\n        actions: [pull]");
        var blob = await PushBlobAsync(mirror, "config");
        await PushImageAsync(mirror, "1", blob, blob);
        (await mirror.GetAsync("t/a/manifests/1")).Dispose();
        (await SendAsync(mirror, HttpMethod.Delete, "t/a/manifests/1")).Dispose();
        await _receiver.UntilAsync(2);
        Assert.Equal(["push", "delete"], _receiver.Actions);
    }

    // On a busy machine an answer may take longer than the second that is the default. Then the server sends the events again.
    private Task<MirrorProcess> StartAsync(string more, bool references = false) => MirrorProcess.StartAsync(new MirrorSettings
    {
        More = $"""
            notifications:
              events:
                includereferences: {(references ? "true" : "false")}
              endpoints:
                - name: spy
                  url: {_receiver.Url}
                  timeout: 30s
            """ + $"\n      {more}\n    - name: off\n      url: {_receiver.Url}\n      disabled: true\n",
    });

    private static async Task<Digest> PushBlobAsync(MirrorProcess mirror, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var digest = Digest.Of(bytes);
        var path = $"t/a/blobs/uploads/?digest={digest}";
        using var response = await SendAsync(mirror, HttpMethod.Post, path, bytes, "application/octet-stream");
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return digest;
    }

    private static async Task<Digest> PushImageAsync(MirrorProcess mirror, string tag, Digest config, Digest layer)
    {
        var manifest = ManifestText.Image(Types, (config, 6), [(layer, 6)]);
        using var response = await SendAsync(mirror, HttpMethod.Put, $"t/a/manifests/{tag}", manifest, Types.Manifest);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return Digest.Of(manifest);
    }

    private static string? Text(JsonElement parent, string name) => parent.GetProperty(name).GetString();

    private static Task UntilMetricAsync(MirrorProcess mirror, double value, string name, params (string, string)[] labels) =>
        Until.TrueAsync(async () => await mirror.MetricAsync(name, labels) == value, () => $"{name} is not {value}");

    private static async Task<HttpResponseMessage> SendAsync(
        MirrorProcess mirror, HttpMethod method, string path, byte[]? body = null, string? type = null)
    {
        using var request = new HttpRequestMessage(method, new Uri(mirror.Url, $"/v2/{path}"));
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue(type!);
        }
        return await Http.Client.SendAsync(request, Cancel);
    }
}
