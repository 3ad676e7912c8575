using System.Globalization;

namespace Mirror.Tests.Peers;

/// <summary>One Sentinel that watches a Redis master and fails over to its replica, and lets in one user only.</summary>
public sealed class RedisSentinel : IAsyncDisposable
{
    public const string Master = "main";
    public const string User = "watcher";
    public const string Password = "sentinel password";

    private readonly TempFolder _folder = new();
    private readonly int _port = Ports.Free();
    private PeerProcess? _process;

    public string Address => $"127.0.0.1:{_port.ToString(CultureInfo.InvariantCulture)}";

    public static async Task<RedisSentinel> StartAsync(RedisProcess master)
    {
        var sentinel = new RedisSentinel();
        var settings = sentinel._folder.Write("sentinel.conf", $"""
            port {sentinel._port}
            bind 127.0.0.1
            dir {sentinel._folder.Path}
            sentinel monitor {Master} {master.Address.Replace(':', ' ')} 1
            sentinel down-after-milliseconds {Master} 1000
            sentinel failover-timeout {Master} 3000
            user {User} on ">{Password}" ~* &* +@all
            user default off

            """);
        sentinel._process = PeerProcess.Start("redis-server", [settings, "--sentinel"]);
        await sentinel._process.UntilAsync(() => Task.FromResult(sentinel._process.Output.Contains("+slave", StringComparison.Ordinal)));
        return sentinel;
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        _folder.Dispose();
    }
}
