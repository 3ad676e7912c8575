using System.Text;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Access;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>Clients that take what they can.</summary>
public sealed class AttackTests : BesideAttack
{
    [Fact]
    public async Task Uploads_of_one_byte_without_end()
    {
        await StartAsync(tls: false);
        await BesideLawfulWorkAsync("4 connections that begin uploads of one byte", 4, async (client, _) =>
        {
            using var begun = await client.PostAsync(Url("/v2/local/evil/blobs/uploads/"), null, Over);
            if (begun.Headers.Location is null)
                return;
            using var body = new ByteArrayContent([1]);
            using var patched = await client.PatchAsync(new Uri(Url("/"), begun.Headers.Location), body, Over);
        });
    }

    [Fact]
    public async Task Bodies_that_are_never_read()
    {
        await StartAsync(tls: true);
        await BesideLawfulWorkAsync("40 connections of HTTP/2 with 100 streams and a window of 0", 40, async (_, _) =>
        {
            await using var attacker = await RawHttp2.ConnectAsync(Port, window: 0, Over);
            for (var stream = 1; stream < 200; stream += 2)
                await attacker.SendAsync(
                    RawHttp2.Headers, RawHttp2.EndStream | RawHttp2.EndHeaders, stream, RawHttp2.Get(LayerPath), Over);
            await attacker.DrainAsync(Over);
        });
    }

    [Fact]
    public async Task Manifests_that_are_announced_and_do_not_end()
    {
        await StartAsync(tls: false);
        var head = "PUT /v2/local/evil/manifests/1 HTTP/1.1\r\nHost: m\r\nContent-Length: 4194304\r\n\r\n"u8.ToArray();
        var body = new byte[(4 << 20) - 1];
        var count = Figures.Count(100, 800);
        await BesideLawfulWorkAsync($"{count} manifests of 4 MiB that do not end", count, async (_, _) =>
        {
            using var socket = await ConnectAsync();
            await socket.SendAsync(head, Over);
            await socket.SendAsync(body, Over);
            await socket.ReceiveAsync(new byte[1000], Over);
        });
    }

    [Fact]
    public async Task Uploads_that_drip()
    {
        await StartAsync(tls: false);
        // More than there are connections.
        var count = Figures.Count(700, 1440);
        await BesideLawfulWorkAsync($"{count} uploads that drip", count, async (client, _) =>
        {
            using var begun = await client.PostAsync(Url("/v2/local/evil/blobs/uploads/"), null, Over);
            if (begun.Headers.Location is null)
                return;
            using var socket = await ConnectAsync();
            var path = new Uri(Url("/"), begun.Headers.Location).PathAndQuery;
            await socket.SendAsync(
                Encoding.ASCII.GetBytes($"PATCH {path} HTTP/1.1\r\nHost: m\r\nContent-Length: 10000000\r\n\r\n"), Over);
            while (await socket.SendAsync(new byte[1], Over) > 0)
                await Task.Delay(1000, Over);
        });
        // A sixteenth of the limit of open files, less what the program has itself.
        await AssertOpenUploadsAsync(112);
    }

    [Theory]
    [InlineData(RawHttp2.Continuation)]
    [LongData(RawHttp2.Settings)]
    [LongData(RawHttp2.Ping)]
    public async Task Frames_without_end(byte type)
    {
        await StartAsync(tls: true);
        var (connections, frames) = (0, 0L);
        await BesideLawfulWorkAsync($"4 connections that send frames of type {type} without end", 4, async (_, _) =>
        {
            Interlocked.Increment(ref connections);
            await using var attacker = await RawHttp2.ConnectAsync(Port, window: 65535, Over);
            if (type == RawHttp2.Continuation)
                await attacker.SendAsync(RawHttp2.Headers, 0, 1, RawHttp2.Get("/v2/"), Over);
            while (true)
            {
                await attacker.SendAsync(
                    type, 0, type == RawHttp2.Continuation ? 1 : 0, type == RawHttp2.Ping ? new byte[8] : [], Over);
                Interlocked.Increment(ref frames);
            }
        });
        if (frames > 0)
            Figures.Report($"type {type}: {frames} frames, {connections - 4} connections cut");
    }

    [Fact]
    public async Task Wrong_passwords()
    {
        await StartAsync(tls: false, withLogins: true);
        var count = Figures.Count(50, 300);
        await BesideLawfulWorkAsync($"{count} connections that send wrong passwords", count, async (client, i) =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, Url("/v2/"));
            request.Headers.Add("Authorization", PasswordFile.Basic(i % 2 == 0 ? "alice" : "unknown", "wrong"));
            using var refused = await client.SendAsync(request, Over);
        });
    }

    [Fact]
    public async Task Walks_through_all_repositories()
    {
        var repositories = Figures.Count(500, 60_000);
        for (var i = 0; i < repositories && !Attacks; i++)
            Directory.CreateDirectory(
                Path.Combine(Root, RegistryLayout.Repository(RepositoryName.Parse($"old/r{i / 100}/app-{i}")), "_layers", "sha256"));
        await StartAsync(tls: false);
        var nothing = Digest.Of("nothing"u8);
        var name = $"40 connections that list {repositories} repositories, and mount without 'from'";
        await BesideLawfulWorkAsync(name, 40, async (client, i) =>
        {
            if (i % 2 == 0)
                using (await client.GetAsync(Url("/v2/_catalog?n=1000&last=old"), Over))
                    return;
            using var begun = await client.PostAsync(Url($"/v2/local/evil/blobs/uploads/?mount={nothing}"), null, Over);
        });
    }
}
