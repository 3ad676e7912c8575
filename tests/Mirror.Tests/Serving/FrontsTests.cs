using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mirror.Storage;
using Mirror.Tests.Access;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary>The files in <c>deploy/fronts</c>, each with the real program: as they stand, and with their passwords.</summary>
public sealed class FrontsTests : IAsyncDisposable
{
    // alice's is "secret" in every form.
    private const string User = "alice:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

    private static readonly int LayerBytes = Environment.GetEnvironmentVariable("MIRROR_TESTS") == "full" ? int.MaxValue / 2 : 24 << 20;

    private readonly TempFolder _folder = new();
    private readonly int _port = Ports.Free();
    private MirrorProcess? _registry;
    private PeerProcess? _front;

    private string Url => string.Create(CultureInfo.InvariantCulture, $"https://localhost:{_port}");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("nginx", false)]
    [InlineData("nginx", true)]
    [InlineData("apache2", false)]
    [InlineData("apache2", true)]
    [InlineData("haproxy", false)]
    [InlineData("haproxy", true)]
    [InlineData("caddy", false)]
    [InlineData("caddy", true)]
    public async Task A_front_passes_everything_on_and_asks_for_its_own_passwords(string program, bool withPasswords)
    {
        MirrorProcess.Availability.OrSkip();
        Availability.Of(program).OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings());
        await StartAsync(program, withPasswords);
        using var http = Client(withPasswords);

        // 1. A push of unknown length, in a chunk, that goes through as it comes.
        using var start = await http.PostAsync($"{Url}/v2/local/app/blobs/uploads/", null, Cancel);
        Assert.True(start.StatusCode == HttpStatusCode.Accepted, $"{start.StatusCode}\n{_front!.Output}");
        Assert.StartsWith(Url, start.Headers.Location!.ToString(), StringComparison.Ordinal);
        var bytes = new byte[withPasswords ? 1 << 20 : LayerBytes];
        RandomNumberGenerator.Fill(bytes.AsSpan(0, 1 << 20));
        using var chunk = new HttpRequestMessage(HttpMethod.Patch, start.Headers.Location) { Content = new ByteArrayContent(bytes) };
        chunk.Content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        chunk.Headers.TransferEncodingChunked = true;
        using var taken = await http.SendAsync(chunk, Cancel);
        Assert.Equal(HttpStatusCode.Accepted, taken.StatusCode);
        var digest = Digest.Of(bytes);
        using var put = await http.PutAsync($"{taken.Headers.Location}?digest={digest}", null, Cancel);
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);

        // 2. A part of it.
        using var part = new HttpRequestMessage(HttpMethod.Get, $"{Url}/v2/local/app/blobs/{digest}");
        part.Headers.Range = new RangeHeaderValue(1000, 1999);
        using var range = await http.SendAsync(part, Cancel);
        Assert.Equal(HttpStatusCode.PartialContent, range.StatusCode);
        Assert.Equal(bytes[1000..2000], await range.Content.ReadAsByteArrayAsync(Cancel));

        // 3. Without a login.
        using var stranger = Client(withLogin: false);
        foreach (var ping in new[] { "_ping", "v1/_ping" })
            using (var pong = await stranger.GetAsync($"{Url}/{ping}", Cancel))
                Assert.Equal(HttpStatusCode.OK, pong.StatusCode);
        using var refused = await stranger.GetAsync($"{Url}/v2/", Cancel);
        Assert.Equal(withPasswords ? HttpStatusCode.Unauthorized : HttpStatusCode.OK, refused.StatusCode);

        // 4. The server knows who asks, also where a client claims to be another one.
        using var claim = new HttpRequestMessage(HttpMethod.Get, $"{Url}/_ping");
        claim.Headers.Add("X-Forwarded-For", "192.0.2.77");
        using var claimed = await http.SendAsync(claim, Cancel);
        Assert.Equal(HttpStatusCode.OK, claimed.StatusCode);
        Assert.DoesNotContain(_registry.Log, line => line.Contains("192.0.2.77", StringComparison.Ordinal));
    }

    public async ValueTask DisposeAsync()
    {
        if (_front is not null)
            await _front.DisposeAsync();
        if (_registry is not null)
            await _registry.DisposeAsync();
        _folder.Dispose();
    }

    private async Task StartAsync(string program, bool withPasswords)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        using var own = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var certificate = _folder.Write("registry.pem", own.ExportCertificatePem() + "\n" + key.ExportPkcs8PrivateKeyPem());
        var privateKey = _folder.Write("registry.key", key.ExportPkcs8PrivateKeyPem());
        var users = _folder.Write("registry.htpasswd", program is "nginx" ? "alice:{PLAIN}secret\n" : User);

        var file = program switch { "nginx" => "nginx.conf", "apache2" => "apache.conf", "haproxy" => "haproxy.cfg", _ => "Caddyfile" };
        var text = await File.ReadAllTextAsync(Path.Combine(MirrorProcess.Repository, "deploy", "fronts", file), Cancel);
        var port = _port.ToString(CultureInfo.InvariantCulture);
        foreach (var (given, here) in new[]
        {
            ("registry.example.org", "localhost"), ("127.0.0.1:5000", _registry!.Authority), ("listen 443", $"listen 127.0.0.1:{port}"),
            ("*:443", $"127.0.0.1:{port}"), ("bind :443", $"bind 127.0.0.1:{port}"), ("localhost:443", $"localhost:{port}"),
            ("/etc/ssl/registry.pem", certificate), ("/etc/haproxy/registry.pem", certificate), ("/etc/ssl/registry.key", privateKey),
            ("/etc/nginx/registry.htpasswd", users), ("/etc/apache2/registry.htpasswd", users),
        })
            text = text.Replace(given, here, StringComparison.Ordinal);
        if (withPasswords)
            text = text.Replace("#passwords# ", "", StringComparison.Ordinal);
        var config = _folder.Write(file, program switch
        {
            "nginx" => Nginx(text),
            "apache2" => Apache(text, port),
            "caddy" => $"{{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}}\n{text}",
            _ => text,
        });
        string[] arguments = program switch
        {
            "nginx" => ["-c", config, "-e", "stderr", "-p", _folder.Path],
            "apache2" => ["-f", config, "-DFOREGROUND"],
            "haproxy" => ["-db", "-f", config],
            _ => ["run", "--adapter", "caddyfile", "--config", config],
        };
        // Some of them serve as another user.
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(_folder.Path, (UnixFileMode)Convert.ToInt32("755", 8));
        _front = PeerProcess.Start(program, arguments, new Dictionary<string, string>
        {
            ["HOME"] = _folder.Path,
            ["XDG_DATA_HOME"] = _folder.Path,
            ["XDG_CONFIG_HOME"] = _folder.Path,
        });
        using var probe = Client(withLogin: false);
        await _front.UntilAsync(async () =>
        {
            try
            {
                using var pong = await probe.GetAsync($"{Url}/_ping", Cancel);
                return true;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
    }

    private string Nginx(string text) => $$"""
        daemon off;
        pid {{_folder["pid"]}};
        error_log stderr;
        {{(Environment.IsPrivilegedProcess ? "user root;" : "")}}
        events { worker_connections 256; }
        http {
            access_log off;
            client_body_temp_path {{_folder["body"]}};
            proxy_temp_path {{_folder["proxy"]}};
            fastcgi_temp_path {{_folder["fastcgi"]}};
            uwsgi_temp_path {{_folder["uwsgi"]}};
            scgi_temp_path {{_folder["scgi"]}};
        {{text}}
        }
        """;

    // What Debian's apache2.conf and a2enmod say.
    private string Apache(string text, string port)
    {
        string[] modules =
        [
            "mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "env", "headers", "proxy", "proxy_http",
            "setenvif", "socache_shmcb", "ssl",
        ];
        return string.Concat(modules.Select(module => $"LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n"))
            + $"ServerRoot {_folder.Path}\nServerName localhost\nPidFile {_folder["pid"]}\nErrorLog /dev/stderr\nListen 127.0.0.1:{port}\n"
            + (Environment.IsPrivilegedProcess ? "User www-data\nGroup www-data\n" : "") + text;
    }

    private static HttpClient Client(bool withLogin)
    {
        var handler = new SocketsHttpHandler { UseProxy = false };
        // The test made the certificate of the front.
        handler.SslOptions.RemoteCertificateValidationCallback = (_, presented, _, _) => presented is not null;
        var client = new HttpClient(handler) { Timeout = TimeSpan.FromMinutes(10) };
        if (withLogin)
            client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", PasswordFile.Basic("alice"));
        return client;
    }
}
