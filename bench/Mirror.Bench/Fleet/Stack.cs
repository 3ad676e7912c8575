using Mirror.Tests.Peers;

namespace Mirror.Bench.Fleet;

/// <summary>Three replicas over one bucket and one Redis, nginx in front, set up as in <c>deploy/fleet</c>.</summary>
internal sealed class Stack : IDisposable
{
    public const int Size = 3;

    private const string Nginx = "/usr/sbin/nginx";

    private static readonly string Program = Path.GetFullPath("src/Mirror/bin/Release/net10.0/Mirror.dll");

    private readonly string _folder = Directory.CreateTempSubdirectory("mirror-bench-").FullName;
    private readonly Radosgw? _bucket;

    private bool _disposed;

    public Stack(int upstreamPort)
    {
        // Every end of this program ends the store too.
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Dispose();
        try
        {
            _bucket = Radosgw.StartAsync().GetAwaiter().GetResult();
            var redis = Daemon.FreePort();
            Redis = new Daemon("redis-server", ["--bind", "127.0.0.1", "--port", $"{redis}", "--save", "", "--appendonly", "no"], redis);
            var ports = new int[Size];
            for (var i = 0; i < Size; i++)
            {
                ports[i] = Daemon.FreePort();
                Replicas[i] = new Daemon(
                    "dotnet", ["exec", Program, "serve", Configure(i, ports[i], _bucket.Url, redis, upstreamPort)], ports[i]);
            }
            Port = Daemon.FreePort();
            _ = new Daemon(Nginx, ["-c", ConfigureNginx(ports), "-e", Path.Combine(_folder, "nginx.log"), "-p", _folder], Port);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Why this machine cannot run the stack; null if it can.</summary>
    public static string? Missing => Radosgw.Availability.Missing
        ?? (Array.Find([Nginx, "/usr/bin/redis-server", Program], program => !File.Exists(program)) is { } missing
            ? $"there is no {missing}"
            : null);

    /// <summary>The port of nginx.</summary>
    public int Port { get; }

    public Daemon Redis { get; }

    public Daemon[] Replicas { get; } = new Daemon[Size];

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, true))
            return;
        Daemon.StopAll();
        _bucket?.DisposeAsync().AsTask().GetAwaiter().GetResult();
        Directory.Delete(_folder, recursive: true);
    }

    private string Configure(int i, int port, Uri gateway, int redis, int upstreamPort)
    {
        var path = Path.Combine(_folder, $"mirror-{i + 1}.yml");
        File.WriteAllText(path, $$"""
            version: 0.1
            log: { level: error, accesslog: { disabled: true } }
            storage:
              s3:
                regionendpoint: {{gateway.OriginalString}}
                region: us-east-1
                bucket: {{Radosgw.Bucket}}
                accesskey: {{Radosgw.AccessKey}}
                secretkey: {{Radosgw.SecretKey}}
                scratchdirectory: {{_folder}}/scratch-{{i + 1}}
              redirect: { disable: true }
            http: { addr: '127.0.0.1:{{port}}', secret: of the fleet }
            redis: { addr: '127.0.0.1:{{redis}}' }
            proxy: { remoteurl: 'http://127.0.0.1:{{upstreamPort}}' }
            """);
        return path;
    }

    private string ConfigureNginx(int[] ports)
    {
        var temporary = $"client_body_temp_path {_folder}/b; proxy_temp_path {_folder}/p; fastcgi_temp_path {_folder}/f; "
            + $"uwsgi_temp_path {_folder}/u; scgi_temp_path {_folder}/s;";
        var text = File.ReadAllText("deploy/fleet/nginx.conf").Replace("listen 5000", $"listen 127.0.0.1:{Port}", StringComparison.Ordinal)
            .Replace("http {", $"http {{ {temporary}", StringComparison.Ordinal);
        for (var i = 0; i < Size; i++)
            text = text.Replace($"mirror-{i + 1}:5000", $"127.0.0.1:{ports[i]}", StringComparison.Ordinal);
        var path = Path.Combine(_folder, "nginx.conf");
        File.WriteAllText(path, $"daemon off; user root; pid {_folder}/nginx.pid;\n{text}");
        return path;
    }
}
