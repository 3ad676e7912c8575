using System.Net.Sockets;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// Clients that send what costs the server more than them (RFC 9113, 10.5), or hardly send. All kinds at the same time for some seconds;
/// with <c>MIRROR_TESTS=full</c> one after the other, half a minute each.
/// </summary>
public sealed class FloodTests : BesideAttack
{
    private const string Together = "all kinds together";
    private const int Streams = 100;

    // How many connections play each of them, in the full run.
    private static readonly Dictionary<string, (int Connections, Func<FloodTests, Task> Attack)> Kinds = new()
    {
        ["requests that are reset at once"] = (8, test => test.ResetAsync()),
        ["CONTINUATION frames with fields, without end"] = (8, test => test.ContinueAsync()),
        ["SETTINGS frames that change the windows of 100 streams"] = (8, test => test.ChangeWindowsAsync()),
        ["PING frames"] = (8, test => test.PingAsync()),
        ["100 streams each that take a byte at a time"] = (40, test => test.TakeByteByByteAsync()),
        ["windows that are widened past their limit"] = (8, test => test.WidenAsync()),
        ["bodies with trailers without end"] = (8, test => test.TrailAsync()),
        ["headers that drip"] = (700, test => test.DripAsync(tls: true, "GET /v2/ HTTP/1.1\r\nHost: m\r\nX: "u8.ToArray())),
        ["bodies that drip"] = (700, test => test.DripAsync(
            tls: true, "PUT /v2/local/evil/manifests/1 HTTP/1.1\r\nHost: m\r\nContent-Length: 100000\r\n\r\n"u8.ToArray())),
        // The begin of a ClientHello that says how long it is.
        ["TLS handshakes that drip"] = (700, test => test.DripAsync(tls: false, [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3])),
    };

    public static TheoryData<string> Played => Figures.Full ? [.. Kinds.Keys] : [Together];

    protected override TimeSpan Length => TimeSpan.FromSeconds(Figures.Count(2, 30));

    [Theory]
    [MemberData(nameof(Played))]
    public async Task A_flood_beside_lawful_clients(string kind)
    {
        await StartAsync(tls: true);
        var played = kind == Together ? [.. Kinds.Values] : new[] { Kinds[kind] };
        var connections = kind == Together ? 2 * played.Length : played[0].Connections;
        await BesideLawfulWorkAsync(
            $"{connections} connections: {kind}", connections, (_, i) => played[i % played.Length].Attack(this));
    }

    private async Task ResetAsync()
    {
        await using var attacker = await BeginAsync();
        for (var stream = 1; ; stream += 2 * Streams)
            await attacker.SendAsync(
                Each(stream, each =>
                [
                    .. RawHttp2.Frame(RawHttp2.Headers, RawHttp2.EndStream | RawHttp2.EndHeaders, each, RawHttp2.Get(LayerPath)),
                    .. RawHttp2.Frame(RawHttp2.Reset, 0, each, 0, 0, 0, 8),
                ]), Over);
    }

    private async Task ContinueAsync()
    {
        await using var attacker = await BeginAsync();
        await attacker.SendAsync(RawHttp2.Headers, RawHttp2.EndStream, 1, RawHttp2.Get("/v2/"), Over);
        await RepeatAsync(attacker, RawHttp2.Frame(RawHttp2.Continuation, 0, 1, RawHttp2.Field("x-more", 1000)));
    }

    private async Task ChangeWindowsAsync()
    {
        await using var attacker = await BeginAsync(window: 0);
        await RequestAsync(attacker);
        await RepeatAsync(
            attacker,
            [.. RawHttp2.Frame(RawHttp2.Settings, 0, 0, 0, 4, 0, 0, 0, 1), .. RawHttp2.Frame(RawHttp2.Settings, 0, 0, 0, 4, 0, 0, 0, 0)]);
    }

    private async Task PingAsync()
    {
        await using var attacker = await BeginAsync();
        await RepeatAsync(attacker, RawHttp2.Frame(RawHttp2.Ping, 0, 0, new byte[8]));
    }

    private async Task TakeByteByByteAsync()
    {
        await using var attacker = await BeginAsync(window: 1);
        await RequestAsync(attacker);
        var reading = attacker.DrainAsync(Over);
        while (!reading.IsCompleted)
            await attacker.SendAsync(Each(1, stream => RawHttp2.Frame(RawHttp2.WindowUpdate, 0, stream, 0, 0, 0, 1)), Over);
        await reading;
    }

    private async Task WidenAsync()
    {
        await using var attacker = await BeginAsync(window: 0);
        await RequestAsync(attacker);
        await RepeatAsync(attacker, RawHttp2.Frame(RawHttp2.WindowUpdate, 0, 0, 127, 255, 255, 255));
    }

    private async Task TrailAsync()
    {
        await using var attacker = await BeginAsync();
        byte[] trailer = [.. RawHttp2.Field("x-trailer", 200), .. RawHttp2.Field("content-length", 300)];
        var post = RawHttp2.Post("/v2/local/evil/blobs/uploads/");
        for (var stream = 1; ; stream += 2)
            await attacker.SendAsync(
                [
                    .. RawHttp2.Frame(RawHttp2.Headers, RawHttp2.EndHeaders, stream, post),
                    .. RawHttp2.Frame(RawHttp2.Data, 0, stream, new byte[10]),
                    .. RawHttp2.Frame(RawHttp2.Headers, RawHttp2.EndStream, stream, trailer),
                    .. Each(1, _ => RawHttp2.Frame(RawHttp2.Continuation, 0, stream, RawHttp2.Field("x-more", 500))),
                    .. RawHttp2.Frame(RawHttp2.Continuation, RawHttp2.EndHeaders, stream),
                ], Over);
    }

    private async Task RepeatAsync(RawHttp2 attacker, byte[] frames)
    {
        var many = Each(1, _ => frames);
        while (true)
            await attacker.SendAsync(many, Over);
    }

    private static byte[] Each(int first, Func<int, byte[]> frames) =>
        [.. Enumerable.Range(0, Streams).SelectMany(i => frames(first + 2 * i))];

    private async Task DripAsync(bool tls, byte[] start)
    {
        using var socket = await ConnectAsync();
        await using Stream stream = tls ? await SecuredAsync(socket) : new NetworkStream(socket);
        await stream.WriteAsync(start, Over);
        while (true)
        {
            await Task.Delay(1000, Over);
            await stream.WriteAsync("x"u8.ToArray(), Over);
        }
    }

    private Task<RawHttp2> BeginAsync(int window = 65535) => RawHttp2.ConnectAsync(Port, window, Over);

    private Task RequestAsync(RawHttp2 attacker) => attacker.SendAsync(
        Each(1, stream => RawHttp2.Frame(
            RawHttp2.Headers, RawHttp2.EndStream | RawHttp2.EndHeaders, stream, RawHttp2.Get(LayerPath))), Over);
}
