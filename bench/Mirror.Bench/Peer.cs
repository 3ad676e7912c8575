using System.Diagnostics;

namespace Mirror.Bench;

/// <param name="Folder">The peer's own folder, which is deleted afterwards.</param>
/// <param name="Storage">The folder in which a registry stores its content.</param>
internal sealed record PeerSetup(string Folder, int Port, int UpstreamPort, string Storage);

/// <summary>A server to measure: how it is configured and started.</summary>
internal sealed class Peer(string name, string program, Func<PeerSetup, ProcessStartInfo> prepare)
{
    private const string Registry = "/usr/bin/docker-registry";
    private const string Nginx = "/usr/sbin/nginx";

    private static readonly string MirrorProgram = Path.GetFullPath("src/Mirror/bin/Release/net10.0/Mirror.dll");

    // An earlier build of the mirror. If it is given, it is the only peer.
    private static readonly string? ParentProgram = Environment.GetEnvironmentVariable("MIRROR_PARENT");

    public static readonly Peer Mirror = MirrorOf("mirror", MirrorProgram);

    /// <summary>Debian's registry:2, as a pull-through cache.</summary>
    public static readonly Peer RegistryTwo = new("docker-registry 2.8.2", Registry,
        setup => new ProcessStartInfo(Registry, ["serve", RegistryConfiguration(setup, proxy: true)]));

    /// <summary>The same, as the registry to pull from.</summary>
    public static readonly Peer RegistryTwoAsUpstream = new("docker-registry 2.8.2 (upstream)", Registry,
        setup => new ProcessStartInfo(Registry, ["serve", RegistryConfiguration(setup, proxy: false)]));

    /// <summary>nginx that sends files by sendfile: the fastest that this machine's network stack allows.</summary>
    public static readonly Peer NginxStatic = new("nginx static", Nginx, setup => NginxStart(setup, Files(setup)));

    /// <summary>The cache that many sites build themselves: nginx with proxy_cache.</summary>
    public static readonly Peer NginxCache = new("nginx proxy_cache", Nginx, setup => NginxStart(setup,
        $"proxy_pass http://127.0.0.1:{setup.UpstreamPort}; proxy_http_version 1.1; proxy_set_header Connection \"\"; "
        + "proxy_cache c; proxy_cache_valid 200 10m; proxy_cache_lock on;"));

    /// <summary>nginx in front of a fleet: it forwards requests and caches nothing.</summary>
    public static readonly Peer NginxFront = new("nginx in front", Nginx, setup => NginxStart(setup,
        $"proxy_pass http://127.0.0.1:{setup.UpstreamPort}; proxy_http_version 1.1; proxy_set_header Connection \"\"; "
        + "proxy_buffering off; proxy_buffer_size 256k; proxy_buffers 4 256k; proxy_busy_buffers_size 512k;"));

    public static readonly Peer[] All = MirrorAnd(RegistryTwo, NginxStatic, NginxCache);

    /// <summary>The peers that serve stored content over TLS.</summary>
    public static readonly Peer[] OverTls = ParentProgram is not null
        ? [MirrorOf(Mirror.Name, MirrorProgram, tls: true), MirrorOf("parent", ParentProgram, tls: true)]
        :
        [
            MirrorOf(Mirror.Name, MirrorProgram, tls: true),
            new(RegistryTwo.Name, Registry,
                setup => new ProcessStartInfo(Registry, ["serve", RegistryConfiguration(setup, proxy: true, tls: true)]))
            {
                IsTls = true,
            },
            new(NginxStatic.Name, Nginx, setup => NginxStart(setup, Files(setup), tls: true)) { IsTls = true },
        ];

    public string Name => name;

    public bool IsTls { get; private init; }

    /// <summary>Why this machine cannot run the peer; null if it can.</summary>
    public string? Missing => File.Exists(program) ? null : $"there is no {program}";

    /// <summary>The same registry with another configuration file.</summary>
    public Peer Configured(Func<PeerSetup, string> configuration) => new(name, program, setup =>
    {
        var start = prepare(setup);
        File.WriteAllText(start.ArgumentList[^1], configuration(setup));
        // With this variable, docker-registry 2.8.2 does not start on a bucket.
        start.Environment.Remove("AWS_CA_BUNDLE");
        return start;
    });

    public ProcessStartInfo Prepare(PeerSetup setup) => prepare(setup);

    /// <summary>The mirror and these peers. But if the variable <c>MIRROR_PARENT</c> has the path of an earlier build's Mirror.dll: the
    /// mirror and that build alone.</summary>
    public static Peer[] MirrorAnd(params Peer[] peers) =>
        ParentProgram is null ? [Mirror, .. peers] : [Mirror, MirrorOf("parent", ParentProgram)];

    private static Peer MirrorOf(string name, string program, bool tls = false) => new(name, program,
        setup => new ProcessStartInfo("dotnet", [program, "serve", RegistryConfiguration(setup, proxy: true, tls)]))
    {
        IsTls = tls,
    };

    // The mirror and registry:2 both read this file.
    private static string RegistryConfiguration(PeerSetup setup, bool proxy, bool tls = false)
    {
        if (tls)
            Certificate.WriteTo(setup.Folder);
        var certificate = tls ? $", tls: {{ certificate: {setup.Folder}/certificate.pem, key: {setup.Folder}/key.pem }}" : "";
        var path = Path.Combine(setup.Folder, "config.yml");
        File.WriteAllText(path, $$"""
            version: 0.1
            log: { level: error, accesslog: { disabled: true } }
            storage: { filesystem: { rootdirectory: {{setup.Storage}} }, cache: { blobdescriptor: inmemory } }
            http: { addr: 127.0.0.1:{{setup.Port}}{{certificate}} }
            {{(proxy ? $"proxy: {{ remoteurl: 'http://127.0.0.1:{setup.UpstreamPort}' }}" : "")}}
            """);
        return path;
    }

    private static string Files(PeerSetup setup) => $"root {setup.Folder}/content; default_type application/octet-stream;";

    private static ProcessStartInfo NginxStart(PeerSetup setup, string location, bool tls = false)
    {
        if (tls)
            Certificate.WriteTo(setup.Folder);
        Directory.CreateDirectory(Path.Combine(setup.Folder, "content"));
        var certificate = tls
            ? $" ssl; ssl_certificate {setup.Folder}/certificate.pem; ssl_certificate_key {setup.Folder}/key.pem; ssl_protocols TLSv1.3"
            : "";
        var path = Path.Combine(setup.Folder, "nginx.conf");
        File.WriteAllText(path, $$"""
            daemon off; user root; worker_processes auto; pid {{setup.Folder}}/pid; error_log {{setup.Folder}}/error.log error;
            events { worker_connections 4096; }
            http {
              access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
              client_body_temp_path {{setup.Folder}}/b; proxy_temp_path {{setup.Folder}}/p; fastcgi_temp_path {{setup.Folder}}/f;
              uwsgi_temp_path {{setup.Folder}}/u; scgi_temp_path {{setup.Folder}}/s;
              proxy_cache_path {{setup.Folder}}/cache levels=1:2 keys_zone=c:10m max_size=20g use_temp_path=off;
              server { listen 127.0.0.1:{{setup.Port}} backlog=1024{{certificate}}; location / { {{location}} } }
            }
            """);
        return new ProcessStartInfo(Nginx, ["-c", path, "-e", $"{setup.Folder}/error.log", "-p", setup.Folder]);
    }
}
