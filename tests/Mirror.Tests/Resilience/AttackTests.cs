using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Mirror.Storage;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// Clients that take what they can, of a server with few files and little memory, beside lawful pulls and pushes from the same address and
/// from another one. The lawful ones may have to ask again, as real clients do, and come through.
/// </summary>
public sealed class AttackTests : IAsyncDisposable
{
    private const int MaxAttempts = 40;

    private static readonly TimeSpan Length = TimeSpan.FromSeconds(Figures.Count(4, 300));

    private readonly TempFolder _folder = new();
    private readonly int _port = Ports.Free();
    private readonly byte[] _layer = RandomNumberGenerator.GetBytes(300_000);
    private readonly CancellationTokenSource _over = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private PeerProcess _server = null!;
    private string _scheme = "http";
    private int _again;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string LayerPath => $"/v2/local/app/blobs/{Digest.Of(_layer)}";

    [Fact]
    public async Task Uploads_of_one_byte_without_end()
    {
        await StartAsync(tls: false);
        await BesideLawfulWorkAsync("4 connections that begin uploads of one byte", 4, async (client, _) =>
        {
            using var begun = await client.PostAsync(Url("/v2/local/evil/blobs/uploads/"), null, _over.Token);
            if (begun.Headers.Location is null)
                return;
            using var body = new ByteArrayContent([1]);
            using var patched = await client.PatchAsync(new Uri(Url("/"), begun.Headers.Location), body, _over.Token);
        });
    }

    [Fact]
    public async Task Bodies_that_are_never_read()
    {
        await StartAsync(tls: true);
        await BesideLawfulWorkAsync("40 connections of HTTP/2 with 100 streams and a window of 0", 40, async (_, _) =>
        {
            await using var attacker = await RawHttp2.ConnectAsync(_port, window: 0, _over.Token);
            for (var stream = 1; stream < 200; stream += 2)
                await attacker.SendAsync(
                    RawHttp2.Headers, RawHttp2.EndStream | RawHttp2.EndHeaders, stream, RawHttp2.Get(LayerPath), _over.Token);
            await attacker.DrainAsync(_over.Token);
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
            await socket.SendAsync(head, _over.Token);
            await socket.SendAsync(body, _over.Token);
            await socket.ReceiveAsync(new byte[1000], _over.Token);
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
            using var begun = await client.PostAsync(Url("/v2/local/evil/blobs/uploads/"), null, _over.Token);
            if (begun.Headers.Location is null)
                return;
            using var socket = await ConnectAsync();
            var path = new Uri(Url("/"), begun.Headers.Location).PathAndQuery;
            await socket.SendAsync(
                Encoding.ASCII.GetBytes($"PATCH {path} HTTP/1.1\r\nHost: m\r\nContent-Length: 10000000\r\n\r\n"), _over.Token);
            while (await socket.SendAsync(new byte[1], _over.Token) > 0)
                await Task.Delay(1000, _over.Token);
        });
    }

    [Theory]
    [InlineData(RawHttp2.Continuation)]
    [InlineData(RawHttp2.Settings)]
    [InlineData(RawHttp2.Ping)]
    public async Task Frames_without_end(byte type)
    {
        await StartAsync(tls: true);
        await BesideLawfulWorkAsync($"4 connections that send frames of type {type} without end", 4, async (_, _) =>
        {
            await using var attacker = await RawHttp2.ConnectAsync(_port, window: 65535, _over.Token);
            if (type == RawHttp2.Continuation)
                await attacker.SendAsync(RawHttp2.Headers, 0, 1, RawHttp2.Get("/v2/"), _over.Token);
            while (true)
                await attacker.SendAsync(
                    type, 0, type == RawHttp2.Continuation ? 1 : 0, type == RawHttp2.Ping ? new byte[8] : [], _over.Token);
        });
    }

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        if (_server is not null)
            await _server.DisposeAsync();
        _over.Dispose();
        _folder.Dispose();
    }

    /// <summary>Attacks with so many at once, each again and again, while lawful clients pull and push.</summary>
    private async Task BesideLawfulWorkAsync(string name, int attackers, Func<HttpClient, int, Task> attack)
    {
        using (var lawful = Client(IPAddress.Loopback))
            await PushAsync(lawful, "local/app", _layer);
        using var crowd = Client(IPAddress.Loopback);
        var attacks = Enumerable.Range(0, attackers).Select(i => AgainAsync(crowd, () => attack(crowd, i))).ToList();
        var end = DateTime.UtcNow + Length;
        var (pulls, pushes) = (0, 0);
        List<TimeSpan> times = [];
        await Task.WhenAll(
            [
                .. Enumerable.Range(0, Figures.Count(4, 20)).Select(i => WorkAsync(i, async client =>
                {
                    var started = TimeProvider.System.GetTimestamp();
                    Assert.Equal(_layer, await client.GetByteArrayAsync(Url(LayerPath), Cancel));
                    lock (times)
                        times.Add(TimeProvider.System.GetElapsedTime(started));
                    Interlocked.Increment(ref pulls);
                })),
                .. Enumerable.Range(0, Figures.Count(2, 5)).Select(i => WorkAsync(i, async client =>
                {
                    await PushAsync(client, $"local/lawful-{i}", RandomNumberGenerator.GetBytes(50_000));
                    Interlocked.Increment(ref pushes);
                })),
            ]);
        await _over.CancelAsync();
        await Task.WhenAll(attacks);
        Assert.False(_server.HasExited, _server.Output);
        var peak = _server.StatusBytes("VmHWM");
        Figures.Report(string.Create(
            CultureInfo.InvariantCulture,
            $"{name}, {Length.TotalSeconds} s: {pulls} pulls (p99 {Figures.Milliseconds(times, 0.99)}) and {pushes} pushes right, ")
            + $"{_again} of them asked again, {peak >> 20} MiB at most");
        // The runtime's heap has 192 MiB at most. The rest is the program, its threads and buffers outside of it.
        Assert.InRange(peak, 0, 320L << 20);

        async Task WorkAsync(int number, Func<HttpClient, Task> work)
        {
            do
                // A new connection each time, every other one from another address.
                for (var attempt = 1; ; attempt++)
                    try
                    {
                        using var client = Client(number % 2 == 0 ? IPAddress.Loopback : IPAddress.Parse("127.0.0.2"));
                        await work(client);
                        break;
                    }
                    catch (Exception failure) when (failure is HttpRequestException or IOException && attempt < MaxAttempts)
                    {
                        Interlocked.Increment(ref _again);
                        TestContext.Current.TestOutputHelper?.WriteLine(failure.Message);
                        // As real clients do, wait longer each time.
                        await Task.Delay(Math.Min(100 * attempt, 1000), Cancel);
                    }
            while (DateTime.UtcNow < end);
        }
    }

    private async Task AgainAsync(HttpClient client, Func<Task> attack)
    {
        while (!_over.IsCancellationRequested)
            try
            {
                await attack();
            }
            catch (Exception refused) when (refused is HttpRequestException or IOException or SocketException or OperationCanceledException)
            {
                await Task.Yield();
            }
    }

    private async Task PushAsync(HttpClient client, string repository, byte[] layer)
    {
        var digest = Digest.Of(layer);
        using var begun = (await client.PostAsync(Url($"/v2/{repository}/blobs/uploads/"), null, Cancel)).EnsureSuccessStatusCode();
        var upload = new Uri(Url("/"), begun.Headers.Location!);
        using var body = new ByteArrayContent(layer);
        using var patched = (await client.PatchAsync(upload, body, Cancel)).EnsureSuccessStatusCode();
        upload = new Uri(Url("/"), patched.Headers.Location!);
        var separator = upload.Query.Length > 0 ? '&' : '?';
        using var put = (await client.PutAsync(new Uri($"{upload}{separator}digest={digest}"), null, Cancel)).EnsureSuccessStatusCode();
        var types = new ImageTypes(Oci: true);
        var manifest = $$"""
            {"schemaVersion":2,"mediaType":"{{types.Manifest}}",
             "config":{"mediaType":"application/vnd.test.config","digest":"{{digest}}","size":{{layer.Length}}},"layers":[]}
            """;
        using var tag = new StringContent(manifest, null, types.Manifest);
        using var tagged = (await client.PutAsync(Url($"/v2/{repository}/manifests/1"), tag, Cancel)).EnsureSuccessStatusCode();
    }

    private async Task<Socket> ConnectAsync()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, _port, _over.Token);
        return socket;
    }

    private Uri Url(string path) => new($"{_scheme}://127.0.0.1:{_port}{path}");

    private async Task StartAsync(bool tls)
    {
        MirrorProcess.Availability.OrSkip();
        if (Availability.Of("prlimit") is { IsAvailable: false } missing)
            missing.OrSkip();
        var https = "";
        if (tls)
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            using var certificate = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256)
                .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
            var files = (_folder.Write("server.pem", certificate.ExportCertificatePem()),
                _folder.Write("server.key", key.ExportPkcs8PrivateKeyPem()));
            https = $"  tls:\n    certificate: {files.Item1}\n    key: {files.Item2}";
            _scheme = "https";
        }
        var config = _folder.Write("config.yml", $"""
            version: 0.1
            log:
              level: warn
              accesslog:
                disabled: true
            storage:
              filesystem:
                rootdirectory: {_folder.Folder("root")}
            hosted:
              repositories: ["local/**"]
            http:
              addr: 127.0.0.1:{_port}
            {https}
            """);
        // What a container with 256 MiB tells the runtime.
        _server = PeerProcess.Start(
            "prlimit", ["--nofile=2048", "dotnet", MirrorProcess.Program, "serve", config],
            new Dictionary<string, string> { ["DOTNET_GCHeapHardLimit"] = "0xC000000" });
        await _server.UntilAsync(async () =>
        {
            try
            {
                using var client = Client(IPAddress.Loopback);
                return (await client.GetAsync(Url("/v2/"), Cancel)).IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
    }

    private static HttpClient Client(IPAddress from)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (context, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                socket.Bind(new IPEndPoint(from, 0));
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        // The test made the certificate of the server.
        handler.SslOptions.RemoteCertificateValidationCallback = (_, presented, _, _) => presented is not null;
        return new HttpClient(handler) { Timeout = TimeSpan.FromMinutes(2) };
    }
}
