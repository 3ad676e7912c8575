using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Xunit;

namespace Mirror.Tests.Certificates;

/// <summary><c>http.tls.letsencrypt</c> with pebble as the authority and curl as the client.</summary>
public sealed class LetsEncryptTests : IAsyncDisposable
{
    private const string Host = "registry.example.org";
    private const string New = $"{Host} has a new certificate";

    private readonly TempFolder _folder = new();
    private readonly int _port = Ports.Free(), _http01 = Ports.Free(), _debug = Ports.Free();
    private Pebble? _pebble;
    private PeerProcess? _mirror;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Cache => Path.Combine(_folder.Path, "cache");

    [Fact]
    public async Task A_certificate_is_obtained_by_TLS_ALPN_01_for_its_name_alone_and_used_again_without_the_authority()
    {
        _pebble = await Pebble.StartAsync(tlsPort: _port);
        await StartAsync(_pebble.Directory);
        await UntilLoggedAsync(New);
        Assert.Equal("{}", await CurlAsync());
        await PeerProcess.RunAsync("dotnet", [MirrorProcess.Program, "health", _folder["config.yml"]]);
        foreach (var name in new[] { "other.example.org", "localhost", "" })
            await Assert.ThrowsAnyAsync<Exception>(() => ServedAsync(name));
        Assert.Equal([$"{Cache}/acme_account+key", $"{Cache}/{Host}"], Directory.GetFiles(Cache).Order());
        foreach (var file in Directory.GetFiles(Cache))
            Assert.Equal("600", await PeerProcess.RunAsync("stat", ["-c", "%a", file]));
        var served = await ServedAsync(Host);

        await _mirror!.StopAsync();
        await _pebble.StopAsync();
        await StartAsync(_pebble.Directory);
        await _mirror.UntilAsync(async () => await CurlOrNullAsync() == "{}");
        Assert.Equal(served, await ServedAsync(Host));
        Assert.DoesNotContain(_mirror.Lines, line => line.Contains("certificates come from", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_certificate_of_registry_3_near_its_end_is_renewed_by_HTTP_01()
    {
        _pebble = await Pebble.StartAsync(tlsPort: 9, httpPort: _http01);
        Directory.CreateDirectory(Cache);
        var (certificate, key) = NearItsEnd();
        await File.WriteAllTextAsync(Path.Combine(Cache, Host), key + "\n" + certificate, Cancel);
        await StartAsync(_pebble.Directory, $"http01: 127.0.0.1:{_http01}");
        await UntilLoggedAsync(New);
        Assert.Equal("{}", await CurlAsync());

        using var browser = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{_http01}/ui/?q=1") { Headers = { Host = Host } };
        using var sent = await Http.Client.SendAsync(browser, Cancel);
        Assert.Equal($"https://{Host}/ui/?q=1", sent.Headers.Location?.OriginalString);
        using var other = await Http.Client.GetAsync(new Uri($"http://127.0.0.1:{_http01}/v2/"), Cancel);
        Assert.Equal(HttpStatusCode.NotFound, other.StatusCode);
    }

    [Fact]
    public async Task The_certificate_in_the_file_of_registry_2_stays_while_the_authority_is_away()
    {
        MirrorProcess.Availability.OrSkip();
        var (certificate, key) = NearItsEnd();
        var file = JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["Email"] = "a@example.org",
            ["Certs"] = new Dictionary<string, object> { [Host] = new { Cert = certificate, Key = key } },
        });
        _folder.Write("cache", file);
        await StartAsync($"https://127.0.0.1:{Ports.Free()}/dir");
        await UntilLoggedAsync($"the certificate of {Host} could not be renewed");
        Assert.Contains(_mirror!.Lines, line => line.Contains("See that this machine reaches 127.0.0.1", StringComparison.Ordinal));
        using var own = X509Certificate2.CreateFromPem(certificate);
        Assert.Equal(own.SerialNumber, await ServedAsync(Host));
        Assert.Equal(file, await File.ReadAllTextAsync(Cache, Cancel));
        Assert.True(Directory.Exists($"{Cache}.d"));
        var metrics = await Http.Client.GetStringAsync(new Uri($"http://127.0.0.1:{_debug}/metrics"), Cancel);
        var end = new DateTimeOffset(own.NotAfter.ToUniversalTime()).ToUnixTimeSeconds();
        Assert.Contains($"mirror_tls_certificate_end_timestamp_seconds{{host=\"{Host}\"}} {end}", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Browsers_are_sent_to_the_port_of_http_host()
    {
        MirrorProcess.Availability.OrSkip();
        await StartAsync(
            $"https://127.0.0.1:{Ports.Free()}/dir", $"http01: 127.0.0.1:{_http01}", $"host: https://{Host}:5443");
        using var browser = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{_http01}/ui/?q=1") { Headers = { Host = Host } };
        using var sent = await Http.Client.SendAsync(browser, Cancel);
        Assert.Equal($"https://{Host}:5443/ui/?q=1", sent.Headers.Location?.OriginalString);

        using var raw = new TcpClient();
        await raw.ConnectAsync("127.0.0.1", _http01, Cancel);
        await raw.GetStream().WriteAsync(
            Encoding.ASCII.GetBytes($"GET /ui/?q=\u0001 HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n"), Cancel);
        var answer = await new StreamReader(raw.GetStream()).ReadToEndAsync(Cancel);
        Assert.Contains($"Location: https://{Host}:5443/ui/?q=%01\r\n", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Certificates_of_some_seconds_are_renewed_one_after_the_other_and_no_handshake_fails()
    {
        if (!Figures.Full)
            Assert.Skip("takes half a minute: with MIRROR_TESTS=full");
        _pebble = await Pebble.StartAsync(tlsPort: _port, validity: 15);
        await StartAsync(_pebble.Directory);
        await UntilLoggedAsync(New);
        HashSet<string> served = [];
        await _mirror!.UntilAsync(async () =>
        {
            served.Add(await ServedAsync(Host));
            return served.Count > 3;
        });
    }

    public async ValueTask DisposeAsync()
    {
        if (_mirror is not null)
            await _mirror.DisposeAsync();
        if (_pebble is not null)
            await _pebble.DisposeAsync();
        _folder.Dispose();
    }

    private async Task StartAsync(string directory, string more = "", string host = "")
    {
        var config = _folder.Write("config.yml", $$"""
            version: 0.1
            storage:
              filesystem:
                rootdirectory: {{_folder.Folder("root")}}
            http:
              addr: 127.0.0.1:{{_port}}
              {{host}}
              debug:
                addr: 127.0.0.1:{{_debug}}
                prometheus:
                  enabled: true
              tls:
                letsencrypt:
                  cachefile: {{Cache}}
                  email: admin@example.org
                  hosts: [Registry.Example.org]
                  directoryurl: {{directory}}
                  {{more}}
            """);
        Dictionary<string, string> trusted = _pebble is null ? [] : new() { ["SSL_CERT_FILE"] = _pebble.Authority };
        _mirror = PeerProcess.Start("dotnet", [MirrorProcess.Program, "serve", config], trusted);
        await UntilLoggedAsync("listening on");
    }

    private Task UntilLoggedAsync(string what) => _mirror!.UntilAsync(
        () => Task.FromResult(_mirror.Lines.Any(line => line.Contains(what, StringComparison.Ordinal))));

    private Task<string> CurlAsync() => PeerProcess.RunAsync("curl",
        ["-sS", "--cacert", _pebble!.Root, "--resolve", $"{Host}:{_port}:127.0.0.1", $"https://{Host}:{_port}/v2/"]);

    private async Task<string?> CurlOrNullAsync()
    {
        try
        {
            return await CurlAsync();
        }
        catch (PeerFailedException)
        {
            return null;
        }
    }

    /// <summary>The number of the certificate that a client gets that asks for a name.</summary>
    private async Task<string> ServedAsync(string name)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, _port, Cancel);
        await using var tls = new SslStream(client.GetStream(), false, (_, presented, _, _) => presented is not null);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = name }, Cancel);
        return ((X509Certificate2)tls.RemoteCertificate!).SerialNumber;
    }

    private static (string Certificate, string Key) NearItsEnd()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=old", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(Host);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-80), DateTimeOffset.UtcNow.AddDays(10));
        return (certificate.ExportCertificatePem(), key.ExportECPrivateKeyPem());
    }
}
