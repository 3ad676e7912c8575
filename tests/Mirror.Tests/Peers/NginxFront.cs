using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mirror.Tests.Peers;

/// <summary>nginx as TLS front of a registry, with a certificate of its own making.</summary>
internal sealed class NginxFront : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly PeerProcess _process;

    private NginxFront(string backend, string directives)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest("CN=front", key, HashAlgorithmName.SHA256)
            .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var config = _folder.Write("nginx.conf", Front.Nginx(_folder, $$"""
            server {
                listen 127.0.0.1:{{Port}} ssl;
                ssl_certificate {{_folder.Write("front.pem", certificate.ExportCertificatePem())}};
                ssl_certificate_key {{_folder.Write("front.key", key.ExportPkcs8PrivateKeyPem())}};
                client_max_body_size 0;
                location / {
                    proxy_pass http://{{backend}};
                    {{directives}}
                }
            }
            """));
        _process = PeerProcess.Start("nginx", ["-c", config, "-e", "stderr", "-p", _folder.Path]);
    }

    public static Availability Availability => Availability.Of("nginx");

    public int Port { get; } = Ports.Free();

    public string Authority => $"127.0.0.1:{Port}";

    /// <param name="directives">What stands beside <c>proxy_pass</c>.</param>
    public static async Task<NginxFront> StartAsync(string backend, string directives)
    {
        var front = new NginxFront(backend, directives);
        await front._process.UntilAsync(async () =>
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync("127.0.0.1", front.Port);
                return true;
            }
            catch (SocketException)
            {
                return false;
            }
        });
        return front;
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }
}
