using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Mirror.Tests.Peers;

/// <summary>Debian's redis-server, empty and without a disk.</summary>
public sealed class RedisProcess : IAsyncDisposable
{
    private readonly int _port = Ports.Free();
    private readonly RedisTls? _tls;
    private PeerProcess? _process;

    private RedisProcess(RedisTls? tls) => _tls = tls;

    public static Availability Availability => Availability.Of("redis-server");

    public string Address => $"127.0.0.1:{_port.ToString(CultureInfo.InvariantCulture)}";

    /// <param name="tls">Where it is asked over TLS, beside the address in clear that tests look into it by; null is nowhere.</param>
    public static async Task<RedisProcess> StartAsync(RedisTls? tls = null)
    {
        var redis = new RedisProcess(tls);
        await redis.StartAgainAsync();
        return redis;
    }

    public async Task StartAgainAsync()
    {
        _process = PeerProcess.Start("redis-server", ["--bind", "127.0.0.1", "--port", _port.ToString(CultureInfo.InvariantCulture), "--save", "", "--appendonly", "no", "--enable-debug-command", "yes", .. _tls?.Arguments ?? []]);
        await _process.UntilAsync(async () =>
        {
            try
            {
                return (await DoAsync("PING")).StartsWith("+PONG", StringComparison.Ordinal);
            }
            catch (Exception notYet) when (notYet is SocketException or IOException)
            {
                return false;
            }
        });
    }

    /// <summary>SIGKILL; everything is forgotten.</summary>
    public Task KillAsync() => _process!.KillAsync();

    /// <summary>One command, and the first that comes back, in Redis' own words.</summary>
    public async Task<string> DoAsync(params string[] words)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", _port, Xunit.TestContext.Current.CancellationToken);
        await using var stream = client.GetStream();
        var request = $"*{words.Length}\r\n{string.Concat(words.Select(word => $"${Encoding.UTF8.GetByteCount(word)}\r\n{word}\r\n"))}";
        await stream.WriteAsync(Encoding.UTF8.GetBytes(request), Xunit.TestContext.Current.CancellationToken);
        var buffer = new byte[256 * 1024];
        var read = await stream.ReadAsync(buffer, Xunit.TestContext.Current.CancellationToken);
        return Encoding.UTF8.GetString(buffer, 0, read);
    }

    /// <summary>The names of all keys that match, as long as they are few.</summary>
    public async Task<IReadOnlyList<string>> KeysAsync(string pattern) =>
        [.. (await DoAsync("KEYS", pattern)).Split("\r\n").Where(line => line.StartsWith("mirror:", StringComparison.Ordinal))];

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        _tls?.Dispose();
    }
}
