using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary><c>proxy.tls</c>: an upstream with a private certificate authority that requires a client certificate.</summary>
public sealed class UpstreamTlsTests : MirrorOfHub
{
    private static readonly HubBlob Layer = HubBlob.Seeded(1, 100_000);

    private readonly TempFolder _folder = new();
    private readonly X509Certificate2 _authority = Authority("the right one");
    private readonly X509Certificate2 _stranger = Authority("another one");
    private X509Certificate2 _client = null!;

    protected override async Task<ScriptedHub> StartHubAsync()
    {
        _client = Signed(_authority, "mirror");
        return await ScriptedHub.StartOverTlsAsync(Signed(_authority, "upstream"), _client);
    }

    protected override MirrorSettings Settings(ScriptedHub hub) => new() { Upstream = hub.Url, More = Tls(_authority, _client) };

    [Fact]
    public async Task With_its_authority_and_a_client_certificate_it_is_mirrored()
    {
        var image = Hub.AddImage(Repository, "latest", Layer);
        using (var manifest = await Mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(image.Bytes, await manifest.Content.ReadAsByteArrayAsync(Cancel));
        using var blob = await Mirror.GetAsync(BlobPath(Layer.Digest));
        Assert.Equal(Layer.Digest, await DigestOfAsync(blob));
    }

    [Theory]
    [InlineData("the machine's authorities alone", "certificate", "name the file in proxy.tls.ca")]
    [InlineData("another authority", "certificate", "name the file in proxy.tls.ca")]
    // Some upstreams close the connection without a reason.
    [InlineData("no client certificate", "", "")]
    [InlineData("no TLS at all", "TLS", "write http:// in proxy.remoteurl")]
    [InlineData("another name", "is for 127.0.0.1", "write a name that is in upstream's certificate in proxy.remoteurl")]
    [InlineData("an expired certificate", "NotTimeValid", "renew the certificate")]
    public async Task Without_them_it_answers_503_logs_why_and_sends_nothing(string what, string reason, string advice)
    {
        Hub.AddImage(Repository, "latest", Layer);
        await using var other = what switch
        {
            "no TLS at all" => await ScriptedHub.StartAsync(),
            "an expired certificate" => await ScriptedHub.StartOverTlsAsync(Signed(_authority, "upstream", isExpired: true), _client),
            _ => null,
        };
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = what == "another name" ? new Uri($"https://localhost:{Hub.Url.Port}")
                : new Uri($"https://{(other ?? Hub).Registry.Authority}"),
            More = what switch
            {
                "another authority" => Tls(_stranger, _client),
                "no client certificate" => Tls(_authority, null),
                "no TLS at all" or "another name" or "an expired certificate" => Tls(_authority, _client),
                _ => "",
            },
        });
        foreach (var path in new[] { ManifestPath("latest"), BlobPath(Layer.Digest) })
            using (var response = await mirror.GetAsync(path))
                await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
        Assert.Empty((other ?? Hub).Log.Requests);
        await Until.TrueAsync(
            () => mirror.Log.Any(line =>
                line.Contains("cannot be reached", StringComparison.Ordinal) && line.Contains(reason, StringComparison.OrdinalIgnoreCase)
                && line.Contains(advice, StringComparison.Ordinal)),
            () => string.Join('\n', mirror.Log));
    }

    [Fact]
    public async Task An_upstream_that_offers_only_old_cipher_suites_is_logged_as_such()
    {
        using var certificate = Signed(_authority, "upstream");
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = ServeAsync();
        await using (var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = new Uri($"https://{listener.LocalEndpoint}"),
            More = Tls(_authority, null),
        }))
        {
            using var response = await mirror.GetAsync(ManifestPath("latest"));
            await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, response);
            await mirror.UntilLoggedAsync(line => line.Contains("no TLS cipher suite in common", StringComparison.Ordinal));
        }
        listener.Stop();
        await serving;

        async Task ServeAsync()
        {
            try
            {
                while (true)
                {
                    await using var stream = new SslStream(new NetworkStream(await listener.AcceptSocketAsync(Cancel), ownsSocket: true));
                    await stream.AuthenticateAsServerAsync(Offer(), Cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
            }
            catch (SocketException)
            {
                // The test has stopped the listener.
            }
        }

        SslServerAuthenticationOptions Offer() => new()
        {
            ServerCertificate = certificate,
            EnabledSslProtocols = SslProtocols.Tls12,
            CipherSuitesPolicy = new([TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA]),
        };
    }

    // As registries behind a proxy that speaks TLS for them, and does not tell them so.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_token_service_over_plain_HTTP_is_asked_without_the_account(bool hasAccount)
    {
        Hub.AddImage(Repository, "latest", Layer);
        Hub.Account = ("ann", "canary");
        ConcurrentQueue<string> logins = [];
        await using var tokens = new HubOrigin("token", "127.0.0.1", context =>
        {
            logins.Enqueue(context.Request.Headers.Authorization.ToString());
            if (context.Request.Query.ContainsKey("moved"))
                return TokenPort.AnswerAsync(context, Hub);
            context.Response.StatusCode = 307;
            context.Response.Headers.Location = $"{context.Request.Path}{context.Request.QueryString}&moved";
            return Task.CompletedTask;
        });
        await tokens.BringUpAsync();
        Hub.Realm = new Uri(tokens.Url, "/token");
        await using var withAccount = hasAccount
            ? await MirrorProcess.StartAsync(Settings(Hub) with { Username = "ann", Password = "canary" }) : null;
        var mirror = withAccount ?? Mirror;

        using (var manifest = await mirror.GetAsync(ManifestPath("latest")))
            Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
        Assert.Equal(["", ""], logins);
        if (hasAccount)
            await mirror.UntilLoggedAsync(line => line.Contains("X-Forwarded-Proto", StringComparison.Ordinal));
    }

    private static X509Certificate2 Authority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, true));
        var now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
    }

    private static X509Certificate2 Signed(X509Certificate2 authority, string name, bool isExpired = false)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        var now = TimeProvider.System.GetUtcNow();
        using var signed = request.Create(
            authority, now.AddHours(-1), isExpired ? now.AddMinutes(-1) : now.AddHours(1), RandomNumberGenerator.GetBytes(8));
        using var whole = signed.CopyWithPrivateKey(key);
        // As PKCS #12, because the system's TLS cannot use the ephemeral key.
        return X509CertificateLoader.LoadPkcs12(whole.Export(X509ContentType.Pfx), null, X509KeyStorageFlags.Exportable);
    }

    private string Tls(X509Certificate2 authority, X509Certificate2? client)
    {
        var text = $"  tls:\n    ca: {_folder.Write($"{authority.Thumbprint}.pem", authority.ExportCertificatePem())}\n";
        if (client is null)
            return text;
        var certificate = _folder.Write("client.pem", client.ExportCertificatePem());
        var key = _folder.Write("client.key", client.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        return $"{text}    certificate: {certificate}\n    key: {key}\n";
    }
}
