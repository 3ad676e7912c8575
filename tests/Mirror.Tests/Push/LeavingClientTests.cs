using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Push;

/// <summary>Clients that leave in the middle of the body that they send.</summary>
public sealed class LeavingClientTests : IDisposable
{
    private const int Clients = 10;

    private readonly TempFolder _folder = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_connection_that_is_reset_is_no_failure_of_the_server()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        var repository = new PushedRepository(mirror, "local/app");
        for (var i = 0; i < Clients; i++)
        {
            var location = await repository.BeginAsync();
            using var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await client.ConnectAsync(mirror.Url.Host, mirror.Url.Port, Cancel);
            var target = new Uri(location).PathAndQuery;
            await client.SendAsync(
                Encoding.ASCII.GetBytes($"PATCH {target} HTTP/1.1\r\nHost: m\r\nContent-Length: 1000\r\n\r\nab"), Cancel);
            await UntilArrivedAsync(() => repository.SendAsync("GET", location));
            client.LingerState = new LingerOption(true, 0);
        }
        await AssertNoFailureAsync(mirror.Log, () => mirror.MetricsAsync());
        // Nor does it look like a push that succeeded.
        await Until.TrueAsync(
            () => Task.FromResult(Clients == mirror.Log.Count(line =>
                line.Contains("\"PATCH /v2/local/app", StringComparison.Ordinal) && line.Contains("\" 499 ", StringComparison.Ordinal))),
            () => string.Join('\n', mirror.Log.TakeLast(10)));
    }

    [Fact]
    public async Task A_client_that_is_refused_and_does_not_send_the_rest_is_no_failure_of_the_server()
    {
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings());
        for (var i = 0; i < Clients; i++)
        {
            using var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await client.ConnectAsync(mirror.Url.Host, mirror.Url.Port, Cancel);
            await client.SendAsync(
                "PUT /v2/local/app/manifests/-wrong HTTP/1.1\r\nHost: m\r\nContent-Length: 48000\r\n\r\nab"u8.ToArray(), Cancel);
            Assert.True(await client.ReceiveAsync(new byte[1], Cancel) > 0);
        }
        // The log is written in order, and the server hears of a client's end before its own.
        await mirror.StopAsync();
        Assert.DoesNotContain(mirror.Log, line => line.Contains("level=error", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_stream_of_HTTP_2_that_is_reset_is_no_failure_of_the_server()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256)
            .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var (port, debug) = (Ports.Free(), Ports.Free());
        var config = _folder.Write("config.yml", $"""
            version: 0.1
            storage:
              filesystem:
                rootdirectory: {_folder.Folder("root")}
            hosted:
              repositories: ["**"]
            http:
              addr: 127.0.0.1:{port}
              tls:
                certificate: {_folder.Write("server.pem", certificate.ExportCertificatePem())}
                key: {_folder.Write("server.key", key.ExportPkcs8PrivateKeyPem())}
              debug:
                addr: 127.0.0.1:{debug}
                prometheus: {"{enabled: true}"}
            """);
        await using var process = PeerProcess.Start("dotnet", [MirrorProcess.Program, "serve", config]);
        await process.UntilAsync(
            () => Task.FromResult(process.Lines.Any(line => line.Contains("listening on", StringComparison.Ordinal))));
        using var handler = new SocketsHttpHandler { UseProxy = false };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, presented, _, _) => presented is not null;
        using var client = new HttpClient(handler)
        {
            BaseAddress = new Uri($"https://localhost:{port}"),
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        for (var i = 0; i < Clients; i++)
        {
            using var begun = await client.PostAsync(new Uri("/v2/local/app/blobs/uploads/", UriKind.Relative), null, Cancel);
            using var leaves = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
            using var body = new UnfinishedBody(async () =>
            {
                await UntilArrivedAsync(() => client.GetAsync(begun.Headers.Location, Cancel));
                await leaves.CancelAsync();
                leaves.Token.ThrowIfCancellationRequested();
            });
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                () => client.PatchAsync(begun.Headers.Location, body, leaves.Token));
        }
        await AssertNoFailureAsync(process.Lines, () => Http.Client.GetStringAsync(new Uri($"http://127.0.0.1:{debug}/metrics"), Cancel));
    }

    // The status is answered while bytes still arrive.
    private static Task UntilArrivedAsync(Func<Task<HttpResponseMessage>> statusAsync) => Until.TrueAsync(
        async () =>
        {
            using var status = await statusAsync();
            return PushedRepository.Header(status, "Range") == "0-1";
        },
        () => "The first bytes do not arrive.");

    private static async Task AssertNoFailureAsync(IReadOnlyList<string> log, Func<Task<string>> metricsAsync)
    {
        var metrics = "";
        await Until.TrueAsync(
            async () => (metrics = await metricsAsync()).Contains($"mirror_client_aborts_total{{}} {Clients}\n", StringComparison.Ordinal),
            () => $"{metrics}\n{string.Join('\n', log.TakeLast(10))}");
        Assert.DoesNotContain("code=\"500\"", metrics, StringComparison.Ordinal);
        Assert.DoesNotContain(log, line => line.Contains("unexpected failure", StringComparison.Ordinal));
    }

    // A body of two bytes and no end.
    private sealed class UnfinishedBody(Func<Task> sentAsync) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync("ab"u8.ToArray(), Cancel);
            await stream.FlushAsync(Cancel);
            await sentAsync();
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
