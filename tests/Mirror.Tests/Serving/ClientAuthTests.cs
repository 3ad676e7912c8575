using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mirror.Configuration;
using Mirror.Hosting;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary><c>http.tls.clientauth</c>: which clients each of its words lets in. Debian's docker-registry, which knows the strictest one
/// only, lets in the same.</summary>
public sealed class ClientAuthTests : IAsyncDisposable
{
    private const string ServerUse = "1.3.6.1.5.5.7.3.1";
    private const string ClientUse = "1.3.6.1.5.5.7.3.2";

    // What a client shows, and whether it is let in by each word in turn; the last one is registry:2's.
    private static readonly (string Shown, string LetIn)[] Clients =
    [
        ("nothing", "y-y--"), ("friend", "yyyyy"), ("stranger", "yy---"), ("expired", "yy---"), ("a server", "yy---"),
        ("a client", "yyyyy"), ("the authority", "yyyyy"),
    ];

    private static readonly string[] Words =
        ["request-client-cert", "require-any-client-cert", "verify-client-cert-if-given", "require-and-verify-client-cert"];

    private readonly TempFolder _folder = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _servers = [];
    private readonly X509Certificate2 _authority = Authority("authority");
    private readonly X509Certificate2 _other = Authority("another authority");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_word_lets_in_its_clients_and_registry_2_agrees()
    {
        DockerRegistry.Availability.OrSkip();
        List<int> ports = [];
        foreach (var word in Words)
        {
            var loaded = MirrorConfiguration.Load(Config(word, ports), new Dictionary<string, string>());
            Assert.Empty(loaded.Errors);
            Assert.Equal(word.Contains("verify", StringComparison.Ordinal) ? 0 : 1, loaded.Warnings.Count);
            _servers.Add(Server.RunAsync(loaded, () => loaded, dropRoot: false, _stop.Token));
        }
        await using var registry = PeerProcess.Start("docker-registry", ["serve", Config(null, ports)]);
        foreach (var port in ports)
            await Until.TrueAsync(() => IsListeningAsync(port), () => "A server does not listen.");

        foreach (var (shown, expected) in Clients)
        {
            using var certificate = Shown(shown);
            var letIn = "";
            foreach (var port in ports)
                letIn += await IsLetInAsync(certificate, port) ? 'y' : '-';
            Assert.Equal($"{shown}: {expected}", $"{shown}: {letIn}");
        }
    }

    [Theory]
    [InlineData("nothing", "it sent no certificate")]
    [InlineData("stranger", "no authority of http.tls.clientcas has signed its certificate")]
    [InlineData("expired", "its certificate, or one that signed it, is not valid now")]
    [InlineData("a server", "its certificate is not one for clients")]
    public async Task The_log_says_which_client_was_refused_and_why(string shown, string why)
    {
        MirrorProcess.Availability.OrSkip();
        List<int> ports = [];
        await using var server = PeerProcess.Start("dotnet", [MirrorProcess.Program, Config(null, ports, level: "info")]);
        await Until.TrueAsync(() => IsListeningAsync(ports[0]), () => server.Output);
        using var certificate = Shown(shown);

        Assert.False(await IsLetInAsync(certificate, ports[0]));
        Assert.False(await IsLetInAsync(certificate, ports[0]));

        bool IsRefusal(string line) => line.Contains("127.0.0.1:", StringComparison.Ordinal)
            && line.Contains(" was refused: ", StringComparison.Ordinal) && line.Contains(why, StringComparison.Ordinal);
        await server.UntilAsync(() => Task.FromResult(server.Lines.Any(IsRefusal)));
        Assert.Single(server.Lines, IsRefusal);
        Assert.DoesNotContain("RemoteCertificateValidationCallback", server.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_server_requests_nothing_from_an_address_in_a_strangers_certificate()
    {
        using var issuer = new TcpListener(IPAddress.Loopback, 0);
        issuer.Start();
        List<int> ports = [];
        var loaded = MirrorConfiguration.Load(Config(Words[3], ports), new Dictionary<string, string>());
        _servers.Add(Server.RunAsync(loaded, () => loaded, dropRoot: false, _stop.Token));
        await Until.TrueAsync(() => IsListeningAsync(ports[0]), () => "The server does not listen.");

        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=stranger", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509AuthorityInformationAccessExtension([], [$"http://{issuer.LocalEndpoint}/issuer"]));
        using var unknown = Authority("an authority that the server does not know");
        using var issued = request.Create(unknown, DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(1), [1, 2, 3]);
        using var shown = issued.CopyWithPrivateKey(key);

        Assert.False(await IsLetInAsync(shown, ports[0]));
        Assert.False(issuer.Pending());
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_servers);
        _authority.Dispose();
        _other.Dispose();
        _stop.Dispose();
        _folder.Dispose();
    }

    private string Config(string? word, List<int> ports, string level = "error")
    {
        ports.Add(Ports.Free());
        using var own = Authority("localhost");
        return _folder.Write($"{ports.Count}.yml", $"""
            version: 0.1
            log: {"{"}level: {level}, accesslog: {"{disabled: true}}"}
            storage: {"{"}filesystem: {"{"}rootdirectory: {_folder.Folder($"root{ports.Count}")}{"}}"}
            http:
              addr: 127.0.0.1:{ports[^1]}
              tls:
                certificate: {_folder.Write($"{ports.Count}.pem", own.ExportCertificatePem())}
                key: {_folder.Write($"{ports.Count}.key", own.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem())}
                clientcas: [{_folder.Write("ca.pem", _authority.ExportCertificatePem())}]
                {(word is null ? "" : $"clientauth: {word}")}
            """);
    }

    private X509Certificate2? Shown(string what)
    {
        var (authority, days, use) = what switch
        {
            "stranger" => (_other, 1, null),
            "expired" => (_authority, -1, null),
            "a server" => (_authority, 1, ServerUse),
            "a client" => (_authority, 1, ClientUse),
            _ => (_authority, 1, (string?)null),
        };
        if (what is "nothing")
            return null;
        if (what is "the authority")
            return X509CertificateLoader.LoadPkcs12(_authority.Export(X509ContentType.Pkcs12), null);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={what}", key, HashAlgorithmName.SHA256);
        if (use is not null)
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(use)], critical: false));
        using var issued = request.Create(authority, DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(days), [1, 2, 3]);
        return issued.CopyWithPrivateKey(key);
    }

    private static X509Certificate2 Authority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, true));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-3), DateTimeOffset.UtcNow.AddDays(3));
    }

    private static async Task<bool> IsLetInAsync(X509Certificate2? certificate, int port)
    {
        using var handler = new SocketsHttpHandler { UseProxy = false };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, presented, _, _) => presented is not null;
        if (certificate is not null)
            handler.SslOptions.ClientCertificateContext = SslStreamCertificateContext.Create(certificate, null, offline: true);
        using var http = new HttpClient(handler);
        try
        {
            var url = string.Create(CultureInfo.InvariantCulture, $"https://127.0.0.1:{port}/v2/");
            using var answer = await http.GetAsync(url, Cancel);
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static async Task<bool> IsListeningAsync(int port)
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync("127.0.0.1", port, Cancel);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
