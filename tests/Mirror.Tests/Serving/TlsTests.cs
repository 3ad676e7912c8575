using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mirror.Configuration;
using Mirror.Hosting;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary><c>http.tls</c>, as clients meet it.</summary>
public sealed class TlsTests : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly string _port = Ports.Free().ToString(CultureInfo.InvariantCulture);
    private Task _server = Task.CompletedTask;
    private PeerProcess? _process;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task HTTPS_is_served_over_HTTP_2()
    {
        await StartAsync("");
        using var http = Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"https://localhost:{_port}/v2/") { Version = HttpVersion.Version20 };
        using var response = await http.SendAsync(request, Cancel);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(HttpVersion.Version20, response.Version);
    }

    [Fact]
    public async Task Only_certificates_of_the_configured_authorities_are_accepted()
    {
        using var friend = Certificate("friend");
        using var stranger = Certificate("stranger");
        await StartAsync($"clientcas: [{Write("friend.pem", friend.ExportCertificatePem())}]");
        using (var known = Client(friend))
            Assert.Equal(HttpStatusCode.OK, (await known.GetAsync($"https://localhost:{_port}/v2/", Cancel)).StatusCode);
        using (var unknown = Client(stranger))
            await Assert.ThrowsAnyAsync<HttpRequestException>(() => unknown.GetAsync($"https://localhost:{_port}/v2/", Cancel));
        using var none = Client();
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => none.GetAsync($"https://localhost:{_port}/v2/", Cancel));
    }

    [Fact]
    public async Task The_cipher_suites_of_the_file_are_spoken_and_no_others()
    {
        await StartAsync("ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]");

        Assert.Equal(TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, await SuiteAsync(SslProtocols.Tls12));
        // Those of TLS 1.3 cannot be chosen.
        Assert.Contains("TLS_AES", (await SuiteAsync(SslProtocols.Tls13)).ToString());
        await Assert.ThrowsAnyAsync<Exception>(
            () => SuiteAsync(SslProtocols.Tls12, TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256));
    }

    [Fact]
    public async Task Without_a_list_only_suites_with_forward_secrecy_and_without_CBC_are_spoken()
    {
        await StartAsync("");

        Assert.Equal(TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, await SuiteAsync(SslProtocols.Tls12));
        await Assert.ThrowsAnyAsync<Exception>(
            () => SuiteAsync(SslProtocols.Tls12, TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384));
    }

    [Fact]
    public async Task Clients_of_TLS_1_3_resume_their_sessions_until_the_certificate_changes()
    {
        Availability.Of("openssl").OrSkip();
        await StartProcessAsync("");
        var session = Path.Combine(_folder.Path, "session");
        Assert.Contains("New, TLSv1.3", await HandshakeAsync($"-sess_out {session}"), StringComparison.Ordinal);
        Assert.Contains("Reused, TLSv1.3", await HandshakeAsync($"-sess_in {session}"), StringComparison.Ordinal);
        using var renewed = Certificate("renewed");
        Write("server.key", renewed.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        Write("server.pem", renewed.ExportCertificatePem());
        _process!.Signal("HUP");
        await Until.TrueAsync(async () => await SubjectAsync() == "CN=renewed", () => "The old certificate stays.");
        Assert.Contains("New, TLSv1.3", await HandshakeAsync($"-sess_in {session}"), StringComparison.Ordinal);

        // Sessions come behind the handshake, so there must be an answer.
        Task<string> HandshakeAsync(string options) => PeerProcess.RunAsync(
            "bash",
            [
                "-c", @"printf 'GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'"
                    + $" | openssl s_client -ign_eof -connect 127.0.0.1:{_port} -servername localhost {options} 2>&1 || true",
            ]);
    }

    private async Task<TlsCipherSuite> SuiteAsync(SslProtocols version, params TlsCipherSuite[] offered)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, int.Parse(_port, CultureInfo.InvariantCulture), Cancel);
        // The certificate is the test's own. .NET takes suites on Linux only, as the server does.
#pragma warning disable CA1416, CA5359
        await using var tls = new SslStream(socket.GetStream(), false, (_, _, _, _) => true);
        await tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                TargetHost = "localhost",
                EnabledSslProtocols = version,
                CipherSuitesPolicy = offered is [] ? null : new CipherSuitesPolicy(offered),
            }, Cancel);
#pragma warning restore CA1416, CA5359
        return tls.NegotiatedCipherSuite;
    }

    [Fact]
    public async Task A_certificate_with_which_no_client_could_connect_ends_the_start()
    {
        MirrorProcess.Availability.OrSkip();
        var config = Config("");
        // Weak on purpose.
#pragma warning disable CA5385
        using var key = RSA.Create(1024);
#pragma warning restore CA5385
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var weak = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        Write("server.pem", weak.ExportCertificatePem());
        Write("server.key", key.ExportPkcs8PrivateKeyPem());
        foreach (var verb in new[] { "check-config", "serve" })
        {
            await using var process = PeerProcess.Start("dotnet", [MirrorProcess.Program, verb, config]);
            Assert.True(await process.ExitCodeAsync() != 0, process.Output);
            Assert.Contains("http.tls.certificate: ", process.Output, StringComparison.Ordinal);
            Assert.Contains("no client could connect", process.Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_handshake_that_fails_has_a_line_and_plain_HTTP_gets_an_answer_in_words()
    {
        using var certificate = Certificate("localhost");
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string>
            {
                ["REGISTRY_HTTP_TLS_CERTIFICATE"] = Write("server.pem", certificate.ExportCertificatePem()),
                ["REGISTRY_HTTP_TLS_KEY"] = Write("server.key", certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem()),
            },
        });
        using var plain = new TcpClient(AddressFamily.InterNetwork);
        await plain.ConnectAsync(IPAddress.Loopback, mirror.Url.Port, Cancel);
        await plain.GetStream().WriteAsync("GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray(), Cancel);
        using var reader = new StreamReader(plain.GetStream());
        var answer = await reader.ReadToEndAsync(Cancel);
        Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
        Assert.Contains("https://", answer, StringComparison.Ordinal);
        await mirror.UntilLoggedAsync(line => line.Contains(" sent plain HTTP", StringComparison.Ordinal));

        // The record of a handshake, with a message that is none.
        using var strange = new TcpClient(AddressFamily.InterNetwork);
        await strange.ConnectAsync(IPAddress.Loopback, mirror.Url.Port, Cancel);
        await strange.GetStream().WriteAsync((byte[])[22, 3, 1, 0, 5, 1, 0, 0, 1, 0], Cancel);
        await mirror.UntilLoggedAsync(line => line.Contains("a TLS handshake with 127.0.0.1:", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_renewed_certificate_is_used_without_a_restart_and_no_request_fails()
    {
        await StartProcessAsync("");
        Assert.Equal("CN=localhost", await SubjectAsync());
        using var done = new CancellationTokenSource();
        var load = Enumerable.Range(0, 4).Select(_ => LoadAsync(done.Token)).ToArray();

        // A key that does not belong to the certificate, as while only one of the two has been written.
        using var renewed = Certificate("renewed");
        Write("server.key", renewed.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        _process!.Signal("HUP");
        Assert.Equal("CN=localhost", await SubjectAsync());
        Write("server.pem", renewed.ExportCertificatePem());
        _process!.Signal("HUP");
        await Until.TrueAsync(async () => await SubjectAsync() == "CN=renewed", () => "The old certificate stays.");

        await done.CancelAsync();
        Assert.All(await Task.WhenAll(load), Assert.True);
    }

    [Fact]
    public async Task A_renewed_certificate_is_found_without_a_signal()
    {
        await StartProcessAsync("");
        using var renewed = Certificate("renewed");
        Write("server.pem", renewed.ExportCertificatePem());
        Write("server.key", renewed.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        await Until.TrueAsync(async () => await SubjectAsync() == "CN=renewed", () => "The old certificate stays.");
    }

    [Fact]
    public async Task Clients_of_a_new_authority_come_in_without_a_restart()
    {
        using var friend = Certificate("friend");
        using var stranger = Certificate("stranger");
        await StartProcessAsync($"clientcas: [{Write("friend.pem", friend.ExportCertificatePem())}]");
        Write("friend.pem", stranger.ExportCertificatePem());
        _process!.Signal("HUP");
        await Until.TrueAsync(() => LetsInAsync(stranger), () => "The new authority is not used.");
        Assert.False(await LetsInAsync(friend));
    }

    [Fact]
    public async Task The_health_command_has_no_certificate_of_a_client_and_yet_tells_whether_the_server_answers()
    {
        using var friend = Certificate("friend");
        var clientCas = $"clientcas: [{Write("friend.pem", friend.ExportCertificatePem())}]";
        foreach (var version in new[] { "tls1.2", "tls1.3" })
        {
            await StartProcessAsync($"{clientCas}\n    minimumtls: {version}");
            await using (var health = Health())
            {
                Assert.True(await health.ExitCodeAsync() == 0, health.Output);
                Assert.Contains("asks for a certificate of the client", health.Output);
            }
            await _process!.StopAsync();
            await using var stopped = Health();
            Assert.Equal(1, await stopped.ExitCodeAsync());
        }

        // The second server asks for no certificate, and knows which checks fail.
        var down = Write("down", "");
        await StartProcessAsync($$"""
            {{clientCas}}
              debug: {addr: "127.0.0.1:{{Ports.Free()}}"}
            health: {file: [{file: {{down}}}]}
            """);
        await Until.TrueAsync(() => IsHealthyAsync(false), () => "The check of the second server does not fail.");
        File.Delete(down);
        await Until.TrueAsync(() => IsHealthyAsync(true), () => "The check of the second server does not succeed again.");

        PeerProcess Health() => PeerProcess.Start(
            "dotnet", [MirrorProcess.Program, "health", Path.Combine(_folder.Folder("files"), "config.yml")]);

        async Task<bool> IsHealthyAsync(bool expected)
        {
            await using var health = Health();
            return await health.ExitCodeAsync() == (expected ? 0 : 1)
                && health.Output.Contains("503", StringComparison.Ordinal) == !expected;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        await _stop.CancelAsync();
        await _server;
        _stop.Dispose();
        _folder.Dispose();
    }

    private async Task StartAsync(string more)
    {
        var loaded = MirrorConfiguration.Load(Config(more), new Dictionary<string, string>());
        Assert.Empty(loaded.Errors);
        _server = Server.RunAsync(loaded, () => loaded, dropRoot: false, _stop.Token);
        await Until.TrueAsync(IsListeningAsync, () => "The server does not listen.");
    }

    private async Task StartProcessAsync(string more)
    {
        MirrorProcess.Availability.OrSkip();
        _process = PeerProcess.Start("dotnet", [MirrorProcess.Program, Config(more)]);
        await _process.UntilAsync(IsListeningAsync);
    }

    private string Config(string more)
    {
        using var certificate = Certificate("localhost");
        return Write("config.yml", $"""
            version: 0.1
            log: {"{level: error, accesslog: {disabled: true}}"}
            storage: {"{"}filesystem: {"{"}rootdirectory: {_folder.Folder("root")}{"}}"}
            http:
              addr: localhost:{_port}
              tls:
                certificate: {Write("server.pem", certificate.ExportCertificatePem())}
                key: {Write("server.key", certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem())}
                {more}
            """);
    }

    /// <summary>The name in the certificate that a new connection gets.</summary>
    private async Task<string> SubjectAsync()
    {
        using var client = new TcpClient();
        await client.ConnectAsync("localhost", int.Parse(_port, CultureInfo.InvariantCulture), Cancel);
        await using var tls = new SslStream(client.GetStream(), leaveInnerStreamOpen: false, (_, presented, _, _) => presented is not null);
        await tls.AuthenticateAsClientAsync("localhost");
        return tls.RemoteCertificate!.Subject;
    }

    private async Task<bool> LetsInAsync(X509Certificate2 certificate)
    {
        using var http = Client(certificate);
        try
        {
            return (await http.GetAsync($"https://localhost:{_port}/v2/", Cancel)).StatusCode == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    /// <summary>Asks until told to stop, with a new connection every time; returns whether every answer was right.</summary>
    private async Task<bool> LoadAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            using var http = Client();
            using var response = await http.GetAsync($"https://localhost:{_port}/v2/", Cancel);
            if (response.StatusCode != HttpStatusCode.OK)
                return false;
        }
        return true;
    }

    private async Task<bool> IsListeningAsync()
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync("localhost", int.Parse(_port, CultureInfo.InvariantCulture), Cancel);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(_folder.Folder("files"), name);
        File.WriteAllText(path, text);
        return path;
    }

    private static X509Certificate2 Certificate(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, true));
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    private static HttpClient Client(X509Certificate2? certificate = null)
    {
        var handler = new SocketsHttpHandler { UseProxy = false };
        // The test made the certificate of the server. It tests which clients the server accepts.
        handler.SslOptions.RemoteCertificateValidationCallback = (_, presented, _, _) => presented is not null;
        if (certificate is not null)
            handler.SslOptions.ClientCertificates = [certificate];
        return new HttpClient(handler);
    }
}
