using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Mirror.Tests.Peers;

namespace Mirror.Tests.Upstream;

/// <summary>
/// Lets a scripted hub answer to Docker Hub's own names over TLS: an HTTPS proxy on the loopback address that leads
/// <c>registry-1.docker.io</c>, <c>auth.docker.io</c> and the CDN's name to the hub's ports, and everything else nowhere. A program comes
/// here by <see cref="Environment"/>.
/// </summary>
public sealed class DockerHubNames : IAsyncDisposable
{
    public const string Registry = "registry-1.docker.io";
    public const string Token = "auth.docker.io";
    public const string Cdn = "production.cloudflare.docker.com";

    private readonly TempFolder _folder = new();
    private readonly TcpListener _proxy;
    private readonly ConcurrentQueue<string> _strangers = new();
    private readonly CancellationTokenSource _ending = new();
    private readonly Task _accepting;
    private readonly Dictionary<string, HubOrigin> _origins;

    internal DockerHubNames(HubOrigin registry, HubOrigin token, HubOrigin cdn, X509Certificate2 certificate)
    {
        _origins = new() { [Registry] = registry, [Token] = token, [Cdn] = cdn };
        var port = Ports.Free();
        _proxy = new TcpListener(IPAddress.Loopback, port);
        _proxy.Start();
        _accepting = AcceptAsync();
        Environment = new Dictionary<string, string>
        {
            ["https_proxy"] = $"http://127.0.0.1:{port}",
            ["SSL_CERT_FILE"] = _folder.Write("trusted.pem", certificate.ExportCertificatePem()),
        };
    }

    /// <summary>The variables that send a program's requests here and let it trust what it meets.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; }

    /// <summary>Hosts that were asked for and are none of Docker Hub's.</summary>
    public IReadOnlyCollection<string> Strangers => [.. _strangers];

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        _proxy.Stop();
        await _accepting;
        _proxy.Dispose();
        _ending.Dispose();
        _folder.Dispose();
    }

    /// <summary>A certificate for the three names, signed by itself.</summary>
    internal static X509Certificate2 NewCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var names = new SubjectAlternativeNameBuilder();
        foreach (var name in new[] { Registry, Token, Cdn })
            names.AddDnsName(name);
        var request = new CertificateRequest("CN=scripted hub", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        var now = TimeProvider.System.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pfx), null);
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
                _ = TunnelAsync(await _proxy.AcceptTcpClientAsync(_ending.Token));
        }
        catch (Exception ended) when (ended is OperationCanceledException or SocketException)
        {
            // Disposed.
        }
    }

    private async Task TunnelAsync(TcpClient client)
    {
        using (client)
            try
            {
                var stream = client.GetStream();
                var host = await ReadTargetAsync(stream);
                if (!_origins.TryGetValue(host, out var origin))
                {
                    _strangers.Enqueue(host);
                    await stream.WriteAsync("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"u8.ToArray(), _ending.Token);
                    return;
                }
                using var target = new TcpClient();
                await target.ConnectAsync(IPAddress.Loopback, origin.Url.Port, _ending.Token);
                await stream.WriteAsync("HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray(), _ending.Token);
                await Task.WhenAny(
                    stream.CopyToAsync(target.GetStream(), _ending.Token), target.GetStream().CopyToAsync(stream, _ending.Token));
            }
            catch (Exception gone) when (gone is IOException or SocketException or OperationCanceledException)
            {
                // One of the two hung up.
            }
    }

    /// <summary>The host of <c>CONNECT host:port HTTP/1.1</c>; the headers after it are read and left.</summary>
    private async Task<string> ReadTargetAsync(NetworkStream stream)
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await stream.ReadExactlyAsync(one, _ending.Token);
            head.Append((char)one[0]);
        }
        return head.ToString().Split(' ')[1].Split(':')[0];
    }
}
