using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mirror.Tests.Access;
using Xunit;

namespace Mirror.Tests.Peers;

/// <summary>nginx, Apache, HAProxy or Caddy before a registry, with its file in <c>deploy/fronts</c> or another one.</summary>
internal sealed class Front : IAsyncDisposable
{
    // alice's is "secret" in every form.
    private const string User = "alice:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

    // As the manuals of the old registries had them (written anew): no X-Forwarded-Proto, and the name the client asked in Host.
    private const string OldNginx = """
        upstream registry { server 127.0.0.1:5000; }
        server {
            listen 443 ssl;
            server_name registry.example.org;
            ssl_certificate /etc/ssl/registry.pem;
            ssl_certificate_key /etc/ssl/registry.key;
            client_max_body_size 0;
            chunked_transfer_encoding on;
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            #passwords# proxy_set_header Authorization "";
            add_header Docker-Distribution-Api-Version registry/2.0 always;
            add_header Strict-Transport-Security "max-age=31536000" always;
            location / {
                #passwords# auth_basic "restricted";
                #passwords# auth_basic_user_file /etc/nginx/registry.htpasswd;
                proxy_pass http://registry;
            }
            location /_ping { auth_basic off; proxy_pass http://registry; }
            location /v1/_ping { auth_basic off; proxy_pass http://registry; }
        }
        """;

    private const string OldApache = """
        <VirtualHost *:443>
            ServerName registry.example.org
            SSLEngine on
            SSLCertificateFile /etc/ssl/registry.pem
            SSLCertificateKeyFile /etc/ssl/registry.key
            ProxyRequests off
            ProxyPreserveHost on
            ProxyPass / http://127.0.0.1:5000/
            ProxyPassReverse / http://127.0.0.1:5000/
            #passwords# <Location "/">
            #passwords#     AuthType Basic
            #passwords#     AuthName "restricted"
            #passwords#     AuthUserFile /etc/apache2/registry.htpasswd
            #passwords#     Require valid-user
            #passwords#     RequestHeader unset Authorization
            #passwords# </Location>
            <LocationMatch "^/(v1/)?_ping$">
                Require all granted
            </LocationMatch>
        </VirtualHost>
        """;

    private readonly TempFolder _folder = new();
    private readonly string _program;
    private readonly string _port;
    private PeerProcess _process = null!;

    private Front(string program) => (_program, _port) = (program, Port.ToString(CultureInfo.InvariantCulture));

    internal int Port { get; } = Ports.Free();

    internal string Url => $"https://localhost:{_port}";

    internal string Output => _process.Output;

    /// <summary>The most memory that its first process ever held, in bytes.</summary>
    internal long PeakResident => _process.StatusBytes("VmHWM");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <param name="program">nginx, apache2, haproxy or caddy.</param>
    /// <param name="backend">Host and port of the registry.</param>
    /// <param name="withPasswords">Whether the front lets in <c>alice</c> alone.</param>
    /// <param name="isOld">As in the manuals of the old registries.</param>
    internal static async Task<Front> StartAsync(string program, string backend, bool withPasswords, bool isOld = false)
    {
        var front = new Front(program);
        var text = isOld ? program is "nginx" ? OldNginx : OldApache
            : await File.ReadAllTextAsync(Path.Combine(MirrorProcess.Repository, "deploy", "fronts", FileOf(program)), Cancel);
        front.Start(front.Here(text, backend, withPasswords));
        await front._process.UntilAsync(async () =>
        {
            try
            {
                await using var connection = await front.ConnectAsync(Cancel);
                return true;
            }
            catch (Exception early) when (early is SocketException or IOException)
            {
                return false;
            }
        });
        return front;
    }

    /// <summary>A connection that speaks TLS and HTTP/1.1, for bytes of the test's own.</summary>
    internal async Task<SslStream> ConnectAsync(CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync("127.0.0.1", Port, cancellationToken);
            // The test made the certificate of the front.
            var tls = new SslStream(new NetworkStream(socket, ownsSocket: true), false, (_, presented, _, _) => presented is not null);
            await tls.AuthenticateAsClientAsync("localhost");
            return tls;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <param name="withLogin">Whether it is <c>alice</c>.</param>
    internal static HttpClient Client(bool withLogin)
    {
        var handler = new SocketsHttpHandler { UseProxy = false };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, presented, _, _) => presented is not null;
        var client = new HttpClient(handler) { Timeout = TimeSpan.FromMinutes(30) };
        if (withLogin)
            client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", PasswordFile.Basic("alice"));
        return client;
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }

    private static string FileOf(string program) =>
        program switch { "nginx" => "nginx.conf", "apache2" => "apache.conf", "haproxy" => "haproxy.cfg", _ => "Caddyfile" };

    // With another name, port and certificate, and otherwise as it stands.
    private string Here(string text, string backend, bool withPasswords)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        using var own = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var certificate = _folder.Write("registry.pem", own.ExportCertificatePem() + "\n" + key.ExportPkcs8PrivateKeyPem());
        var privateKey = _folder.Write("registry.key", key.ExportPkcs8PrivateKeyPem());
        var users = _folder.Write("registry.htpasswd", _program is "nginx" ? "alice:{PLAIN}secret\n" : User);
        foreach (var (given, here) in new[]
        {
            ("registry.example.org", "localhost"), ("127.0.0.1:5000", backend), ("listen 443", $"listen 127.0.0.1:{_port}"),
            ("*:443", $"127.0.0.1:{_port}"), ("bind :443", $"bind 127.0.0.1:{_port}"), ("localhost:443", $"localhost:{_port}"),
            ("/etc/ssl/registry.pem", certificate), ("/etc/haproxy/registry.pem", certificate), ("/etc/ssl/registry.key", privateKey),
            ("/etc/nginx/registry.htpasswd", users), ("/etc/apache2/registry.htpasswd", users),
        })
            text = text.Replace(given, here, StringComparison.Ordinal);
        return withPasswords ? text.Replace("#passwords# ", "", StringComparison.Ordinal) : text;
    }

    private void Start(string text)
    {
        var config = _folder.Write(FileOf(_program), _program switch
        {
            "nginx" => Nginx(_folder, text),
            "apache2" => Apache(text),
            "caddy" => $"{{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}}\n{text}",
            _ => text,
        });
        string[] arguments = _program switch
        {
            "nginx" => ["-c", config, "-e", "stderr", "-p", _folder.Path],
            "apache2" => ["-f", config, "-DFOREGROUND"],
            "haproxy" => ["-db", "-f", config],
            _ => ["run", "--adapter", "caddyfile", "--config", config],
        };
        // Some of them serve as another user.
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(_folder.Path, (UnixFileMode)Convert.ToInt32("755", 8));
        _process = PeerProcess.Start(_program, arguments, new Dictionary<string, string>
        {
            ["HOME"] = _folder.Path,
            ["XDG_DATA_HOME"] = _folder.Path,
            ["XDG_CONFIG_HOME"] = _folder.Path,
        });
    }

    /// <summary>A configuration of nginx that keeps its files in a folder.</summary>
    /// <param name="text">What stands in its section http.</param>
    internal static string Nginx(TempFolder folder, string text) => $$"""
        daemon off;
        pid {{folder["pid"]}};
        error_log stderr;
        {{(Environment.IsPrivilegedProcess ? "user root;" : "")}}
        events { worker_connections 256; }
        http {
            access_log off;
            client_body_temp_path {{folder["body"]}};
            proxy_temp_path {{folder["proxy"]}};
            fastcgi_temp_path {{folder["fastcgi"]}};
            uwsgi_temp_path {{folder["uwsgi"]}};
            scgi_temp_path {{folder["scgi"]}};
        {{text}}
        }
        """;

    // What Debian's apache2.conf and a2enmod say.
    private string Apache(string text)
    {
        string[] modules =
        [
            "mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "env", "headers", "proxy", "proxy_http",
            "setenvif", "socache_shmcb", "ssl",
        ];
        return string.Concat(modules.Select(module => $"LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n"))
            + $"ServerRoot {_folder.Path}\nServerName localhost\nPidFile {_folder["pid"]}\nErrorLog /dev/stderr\nListen 127.0.0.1:{_port}\n"
            + (Environment.IsPrivilegedProcess ? "User www-data\nGroup www-data\n" : "") + text;
    }
}
