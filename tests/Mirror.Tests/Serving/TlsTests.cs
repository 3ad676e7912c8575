using System.Globalization;
using System.Net;
using System.Net.Sockets;
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

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _server;
        _stop.Dispose();
        _folder.Dispose();
    }

    private async Task StartAsync(string more)
    {
        using var certificate = Certificate("localhost");
        var loaded = MirrorConfiguration.Load(Write("config.yml", $"""
            version: 0.1
            log: {"{level: error, accesslog: {disabled: true}}"}
            storage: {"{"}filesystem: {"{"}rootdirectory: {_folder.Folder("root")}{"}}"}
            http:
              addr: localhost:{_port}
              tls:
                certificate: {Write("server.pem", certificate.ExportCertificatePem())}
                key: {Write("server.key", certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem())}
                {more}
            """), new Dictionary<string, string>());
        Assert.Empty(loaded.Errors);
        _server = Server.RunAsync(loaded, dropRoot: false, _stop.Token);
        await Until.TrueAsync(IsListeningAsync, () => "The server does not listen.");
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
