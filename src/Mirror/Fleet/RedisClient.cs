using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Caching.Distributed;
using Mirror.Configuration;
using Mirror.Tls;
using StackExchange.Redis;

namespace Mirror.Fleet;

/// <summary>
/// The one place that speaks to Redis: a cache, leases and announcements. It connects in the background and again whenever it lost the server;
/// until then every call fails. Callers bound the time themselves (<see cref="RedisGuard"/>).
/// </summary>
/// <remarks>Keeps to what StackExchange.Redis 1.2 and 2.x have in common.</remarks>
public sealed class RedisClient : IDistributedCache, IAsyncDisposable
{
    // Of another: left alone. Of nobody, because Redis forgot or was restarted: taken again.
    private const string Renew = """
        local held = redis.call('get', KEYS[1])
        if held == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end
        if not held then redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1 end
        return 0
        """;

    private const string Release = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";

    private readonly Lazy<Task<ConnectionMultiplexer>> _connection;
    private readonly int _database;

    public RedisClient(RedisOptions options)
    {
        _database = options.Db;
        // Off the caller's thread: dialling begins with a name look-up that cannot be told to hurry.
        _connection = new(() => Task.Run(() => ConnectionMultiplexer.ConnectAsync(Configure(options))));
    }

    public byte[]? Get(string key) => GetAsync(key).GetAwaiter().GetResult();

    public async Task<byte[]?> GetAsync(string key, CancellationToken token = default) => await (await DatabaseAsync(token)).StringGetAsync(key);

    public void Set(string key, byte[] value, DistributedCacheEntryOptions options) => SetAsync(key, value, options).GetAwaiter().GetResult();

    public async Task SetAsync(string key, byte[] value, DistributedCacheEntryOptions options, CancellationToken token = default) =>
        await (await DatabaseAsync(token)).StringSetAsync(key, value, options.AbsoluteExpirationRelativeToNow, When.Always, CommandFlags.None);

    public void Refresh(string key)
    {
        // Nothing is kept for being used: entries end when they were said to.
    }

    public Task RefreshAsync(string key, CancellationToken token = default) => Task.CompletedTask;

    public void Remove(string key) => RemoveAsync(key).GetAwaiter().GetResult();

    public async Task RemoveAsync(string key, CancellationToken token = default) => await (await DatabaseAsync(token)).KeyDeleteAsync(key);

    /// <summary>Puts a value where there is none; false where there is one.</summary>
    public async Task<bool> TakeAsync(string key, string value, TimeSpan life, CancellationToken token) =>
        await (await DatabaseAsync(token)).StringSetAsync(key, value, life, When.NotExists, CommandFlags.None);

    /// <summary>Prolongs what <see cref="TakeAsync"/> put; false where another value stands there by now.</summary>
    public async Task<bool> TouchAsync(string key, string value, TimeSpan life, CancellationToken token) =>
        (long)await (await DatabaseAsync(token)).ScriptEvaluateAsync(Renew, [key], [value, (long)life.TotalMilliseconds]) == 1;

    /// <summary>Removes what <see cref="TakeAsync"/> put, and nothing else.</summary>
    public async Task<bool> ReleaseAsync(string key, string value, CancellationToken token) =>
        (long)await (await DatabaseAsync(token)).ScriptEvaluateAsync(Release, [key], [value]) == 1;

    /// <summary>Tells all who listen, this process among them.</summary>
    public async Task AnnounceAsync(string channel, string message, CancellationToken token) =>
        await (await ConnectionAsync(token)).GetSubscriber().PublishAsync(Literal(channel), message);

    /// <summary>Listens until the process ends. What is said while the connection is lost is not heard.</summary>
    public async Task ListenAsync(string channel, Action<string> heard, CancellationToken token) =>
        await (await ConnectionAsync(token)).GetSubscriber().SubscribeAsync(Literal(channel), (_, message) => heard(message!));

    /// <summary>Whether a failure is the server's own answer, such as that it is full or read-only: it is there, and can be asked other things.</summary>
    public static bool IsAnswer(Exception failure) => failure is RedisServerException;

    public async ValueTask DisposeAsync()
    {
        if (!_connection.IsValueCreated)
            return;
        try
        {
            var connection = await _connection.Value;
            await connection.CloseAsync(allowCommandsToComplete: false);
            connection.Dispose();
        }
        catch (Exception gone) when (gone is RedisException or TimeoutException or ObjectDisposedException)
        {
            // Nothing is owed to a server that has gone.
        }
    }

    private static RedisChannel Literal(string channel) => new(channel, RedisChannel.PatternMode.Literal);

    private async ValueTask<IDatabase> DatabaseAsync(CancellationToken token) => (await ConnectionAsync(token)).GetDatabase(_database);

    private async ValueTask<ConnectionMultiplexer> ConnectionAsync(CancellationToken token) => await _connection.Value.WaitAsync(token);

    private static ConfigurationOptions Configure(RedisOptions options)
    {
        var configuration = new ConfigurationOptions
        {
            // The server may come up after us, and go and come back.
            AbortOnConnectFail = false,
            ConnectTimeout = (int)options.DialTimeout.TotalMilliseconds,
            ReconnectRetryPolicy = new LinearRetry(500),
            KeepAlive = 5,
            Password = options.Password,
            ClientName = options.ClientName,
            Ssl = options.Tls is { Enabled: true } or { Certificate: not null } or { RootCas.Length: > 0 },
        };
        foreach (var server in options.Servers())
            configuration.EndPoints.Add(server);
        if (options.Tls is { Certificate: { } certificate, Key: { } key })
        {
            var own = X509Certificate2.CreateFromPemFile(certificate, key);
            configuration.CertificateSelection += (_, _, _, _, _) => own;
        }
        // Only the configured authorities are trusted, where there are any.
        var authorities = new PrivateAuthorities(options.Tls.RootCas);
        if (!authorities.IsEmpty)
            configuration.CertificateValidation += (_, certificate, sent, errors) => authorities.TrustServer(certificate, sent, errors);
        return configuration;
    }
}
