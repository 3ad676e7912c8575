using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Mirror.Tests.Peers;

/// <summary>Debian's redis-server, empty and without a disk.</summary>
public sealed class RedisProcess : IAsyncDisposable
{
    private readonly int _port = Ports.Free();
    private readonly RedisTls? _tls;
    private readonly string[] _settings;
    private PeerProcess? _process;
    private TempFolder? _folder;

    private RedisProcess(RedisTls? tls, string[] settings) => (_tls, _settings) = (tls, settings);

    public static Availability Availability => Availability.Of("redis-server");

    public string Address => $"127.0.0.1:{_port.ToString(CultureInfo.InvariantCulture)}";

    /// <param name="tls">The address and certificates for TLS; null is no TLS. Tests look into Redis by the address without TLS.</param>
    /// <param name="settings">More of redis-server's arguments.</param>
    public static async Task<RedisProcess> StartAsync(RedisTls? tls = null, params string[] settings)
    {
        var redis = new RedisProcess(tls, settings);
        await redis.StartAgainAsync();
        return redis;
    }

    public async Task StartAgainAsync()
    {
        // A replica writes what its master sends into a file there, and a server that starts there would load it.
        _folder?.Dispose();
        _folder = new TempFolder();
        string[] address = ["--dir", _folder.Path, "--bind", "127.0.0.1", "--port", _port.ToString(CultureInfo.InvariantCulture)];
        _process = PeerProcess.Start(
            "redis-server",
            [.. address, "--save", "", "--appendonly", "no", "--enable-debug-command", "yes", .. _tls?.Arguments ?? [], .. _settings]);
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

    /// <summary>Sends one command and returns the first part of the answer, as Redis wrote it.</summary>
    public async Task<string> DoAsync(params string[] command)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", _port, Xunit.TestContext.Current.CancellationToken);
        await using var stream = client.GetStream();
        if (Array.IndexOf(_settings, "--requirepass") is >= 0 and var at)
            await SendAsync("AUTH", _settings[at + 1]);
        return await SendAsync(command);

        async Task<string> SendAsync(params string[] sent)
        {
            var words = sent.Select(word => $"${Encoding.UTF8.GetByteCount(word)}\r\n{word}\r\n");
            var request = Encoding.UTF8.GetBytes($"*{sent.Length}\r\n{string.Concat(words)}");
            await stream.WriteAsync(request, Xunit.TestContext.Current.CancellationToken);
            var buffer = new byte[256 * 1024];
            var read = await stream.ReadAsync(buffer, Xunit.TestContext.Current.CancellationToken);
            return Encoding.UTF8.GetString(buffer, 0, read);
        }
    }

    /// <summary>Returns when this number of clients listens to a channel.</summary>
    public Task UntilListeningAsync(string channel, int clients) => Until.TrueAsync(
        async () => (await DoAsync("PUBSUB", "NUMSUB", channel)).Contains($":{clients}\r\n", StringComparison.Ordinal),
        () => $"Not {clients} clients listen.");

    /// <summary>The names of all keys that match, as long as they are few.</summary>
    public async Task<IReadOnlyList<string>> KeysAsync(string pattern) =>
        [.. (await DoAsync("KEYS", pattern)).Split("\r\n").Where(line => line is not ("" or ['*' or '$', ..]))];

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        _folder?.Dispose();
        _tls?.Dispose();
    }
}
