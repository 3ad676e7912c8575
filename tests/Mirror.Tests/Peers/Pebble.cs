using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mirror.Tests.Peers;

/// <summary>
/// Pebble, the authority that Let's Encrypt made for tests of ACME, with a server of names for which every host is this machine. It refuses
/// half of all nonces.
/// </summary>
public sealed class Pebble : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly int _directory = Ports.Free(), _management = Ports.Free(), _names = Ports.Free();
    private PeerProcess? _nameServer;
    private PeerProcess? _process;

    private Pebble()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=pebble", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(System.Net.IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var own = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        _folder.Write("pebble.pem", own.ExportCertificatePem());
        _folder.Write("pebble.key", key.ExportPkcs8PrivateKeyPem());
    }

    public static Availability Availability => Availability.Of("pebble", "pebble-challtestsrv", "curl");

    /// <summary>Where the authority listens.</summary>
    public string Directory => $"https://127.0.0.1:{_directory}/dir";

    /// <summary>The authority that issued the certificate of pebble's own listener.</summary>
    public string Authority => _folder["pebble.pem"];

    /// <summary>The root of the certificates that it issues, as a file.</summary>
    public string Root => _folder["root.pem"];

    /// <summary>What it said.</summary>
    public IReadOnlyList<string> Lines => _process!.Lines;

    /// <param name="tlsPort">Where hosts are asked by TLS-ALPN-01.</param>
    /// <param name="httpPort">Where hosts are asked by HTTP-01.</param>
    /// <param name="validity">The lifetime of certificates in seconds; null is some years.</param>
    public static async Task<Pebble> StartAsync(int tlsPort, int httpPort = 9, int? validity = null)
    {
        Availability.OrSkip();
        var pebble = new Pebble();
        try
        {
            await pebble.RunAsync(tlsPort, httpPort, validity);
        }
        catch
        {
            await pebble.DisposeAsync();
            throw;
        }
        return pebble;
    }

    /// <summary>Ends it: the authority is away.</summary>
    public Task StopAsync() => _process!.StopAsync();

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        if (_nameServer is not null)
            await _nameServer.DisposeAsync();
        _folder.Dispose();
    }

    private async Task RunAsync(int tlsPort, int httpPort, int? validity)
    {
        var lifetime = validity is null ? "" : string.Create(CultureInfo.InvariantCulture, $", \"certificateValidityPeriod\": {validity}");
        var config = _folder.Write("config.json", $$"""
            {"pebble": {
              "listenAddress": "127.0.0.1:{{_directory}}", "managementListenAddress": "127.0.0.1:{{_management}}",
              "certificate": "{{_folder["pebble.pem"]}}", "privateKey": "{{_folder["pebble.key"]}}",
              "httpPort": {{httpPort}}, "tlsPort": {{tlsPort}}, "externalAccountBindingRequired": false
              {{lifetime}}
              }
            }
            """);
        _nameServer = PeerProcess.Start("pebble-challtestsrv",
        [
            "-dns01", $"127.0.0.1:{_names}", "-management", $"127.0.0.1:{Ports.Free()}", "-defaultIPv6", "",
            "-http01", "", "-https01", "", "-tlsalpn01", "",
        ]);
        _process = PeerProcess.Start("pebble", ["-config", config, "-dnsserver", $"127.0.0.1:{_names}"], new Dictionary<string, string>
        {
            ["PEBBLE_VA_NOSLEEP"] = "1",
            ["PEBBLE_VA_ALWAYS_VALID"] = "0",
            ["PEBBLE_WFE_NONCEREJECT"] = "50",
            ["PEBBLE_AUTHZREUSE"] = "0",
        });
        using var http = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            SslOptions = { RemoteCertificateValidationCallback = static (_, presented, _, _) => presented is not null },
        });
        await _process.UntilAsync(async () =>
        {
            try
            {
                _folder.Write("root.pem", await http.GetStringAsync(new Uri($"https://127.0.0.1:{_management}/roots/0")));
                using var _ = await http.GetAsync(new Uri(Directory));
                return true;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
    }
}
