using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.StackExchangeRedis;
using Mirror.Configuration;
using Mirror.Tls;
using StackExchange.Redis;

namespace Mirror.Fleet;

/// <summary>
/// The one file that speaks to Redis: a cache, leases and announcements, over one connection. It connects in the background, and again
/// after it lost the server; until then every call fails at once. Callers limit the time themselves (<see cref="RedisGuard"/>).
/// </summary>
public sealed class RedisClient : IAsyncDisposable
{
    // Another replica's lease stays. Where Redis forgot the lease, or was restarted, it is taken again.
    private const string Renew = """
        local held = redis.call('get', KEYS[1])
        if held == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end
        if not held then redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1 end
        return 0
        """;

    private const string Release = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";

    private const string Add = "if redis.call('exists', KEYS[1]) == 1 then return redis.call('incrby', KEYS[1], ARGV[1]) end return false";

    // A date that is there is replaced by a later one only. The third argument and those after it are the dates, each before its name.
    private const string AddDates = """
        for at = 3, #ARGV, 2 do
            local held = redis.call('zscore', KEYS[1], ARGV[at + 1])
            if not held or tonumber(held) < tonumber(ARGV[at]) then redis.call('zadd', KEYS[1], ARGV[at], ARGV[at + 1]) end
        end
        redis.call('pexpire', KEYS[1], ARGV[1])
        redis.call('zremrangebyrank', KEYS[1], 0, ARGV[2])
        """;

    // The cache writes hashes with the value in "data". Another program may have written a value of any length.
    private const string Read = """
        if redis.call('hstrlen', KEYS[1], 'data') > tonumber(ARGV[1]) then return false end
        return redis.call('hget', KEYS[1], 'data')
        """;

    // How long ago something was read is its life less what is left of it: by the clock of Redis, because those of replicas differ.
    private const string Reading = """
        redis.call('set', KEYS[1], '', 'PX', ARGV[1])
        return redis.call('exists', KEYS[2])
        """;

    // The first half of the keys are the readings, the second half the deletions.
    private const string Deleting = """
        local count = #KEYS / 2
        for i = 1, count do
            local left = redis.call('pttl', KEYS[i])
            if left > 0 and ARGV[1] - left < tonumber(ARGV[2]) then return 0 end
        end
        for i = count + 1, #KEYS do redis.call('set', KEYS[i], '', 'PX', ARGV[3]) end
        return 1
        """;

    private const int MaxValueBytes = 1 << 20;
    private const int MaxLeaseBytes = 4096;

    private readonly Lock _gate = new();
    private readonly RedisOptions _options;
    private ConnectionMultiplexer? _sentinels;
    private Task<ConnectionMultiplexer>? _connection;

    public RedisClient(RedisOptions options)
    {
        _options = options;
        Cache = new RedisCache(new RedisCacheOptions { ConnectionMultiplexerFactory = async () => await ConnectionAsync(default) });
    }

    /// <summary>Writes values that end by themselves. Lives are counted in whole seconds.</summary>
    public IDistributedCache Cache { get; }

    /// <summary>A value of <see cref="Cache"/>; null where there is none, and where it has more than 1 MiB.</summary>
    public async Task<byte[]?> GetAsync(string key, CancellationToken token) =>
        (byte[]?)await (await DatabaseAsync(token)).ScriptEvaluateAsync(Read, [key], [MaxValueBytes]);

    /// <summary>Writes a value where there is none; false where there is one.</summary>
    public async Task<bool> SetIfAbsentAsync(string key, string value, TimeSpan life, CancellationToken token) =>
        await (await DatabaseAsync(token)).StringSetAsync(key, value, life, When.NotExists);

    /// <summary>The value that <see cref="SetIfAbsentAsync"/> wrote; null where there is none.</summary>
    public async Task<string?> OwnerAsync(string key, CancellationToken token) =>
        (string?)await (await DatabaseAsync(token)).StringGetRangeAsync(key, 0, MaxLeaseBytes) is { Length: > 0 } value ? value : null;

    /// <summary>Prolongs the life of what <see cref="SetIfAbsentAsync"/> wrote; false where another value stands there now.</summary>
    public async Task<bool> RenewAsync(string key, string value, TimeSpan life, CancellationToken token) =>
        (long)await (await DatabaseAsync(token)).ScriptEvaluateAsync(Renew, [key], [value, (long)life.TotalMilliseconds]) == 1;

    /// <summary>Removes what <see cref="SetIfAbsentAsync"/> wrote, and no other value.</summary>
    public async Task<bool> ReleaseAsync(string key, string value, CancellationToken token) =>
        (long)await (await DatabaseAsync(token)).ScriptEvaluateAsync(Release, [key], [value]) == 1;

    /// <summary>Adds to a number that is there, and returns the sum; null where there is none.</summary>
    public async Task<long?> AddAsync(string key, long by, CancellationToken token) =>
        (long?)await (await DatabaseAsync(token)).ScriptEvaluateAsync(Add, [key], [by]);

    /// <summary>
    /// Writes dates in milliseconds under names, and forgets the oldest of more than <paramref name="most"/>. The key ends when nothing was
    /// written to it for <paramref name="life"/>.
    /// </summary>
    public async Task AddDatesAsync(
        string key, IReadOnlyList<(string Name, long At)> dates, int most, TimeSpan life, CancellationToken token)
    {
        // One script, so that a process that dies leaves no key without an end. A transaction would need rights of its own.
        RedisValue[] arguments =
            [(long)life.TotalMilliseconds, -1 - most, .. dates.SelectMany(date => new RedisValue[] { date.At, date.Name })];
        await (await DatabaseAsync(token)).ScriptEvaluateAsync(AddDates, [key], arguments);
    }

    /// <summary>Removes the date of a name.</summary>
    public async Task RemoveDateAsync(string key, string name, CancellationToken token) =>
        await (await DatabaseAsync(token)).SortedSetRemoveAsync(key, name);

    /// <summary>The dates that are not before one, the youngest first.</summary>
    public async Task<IReadOnlyList<(string Name, long At)>> DatesSinceAsync(string key, long from, int most, CancellationToken token)
    {
        var entries = await (await DatabaseAsync(token)).SortedSetRangeByScoreWithScoresAsync(
            key, from, order: Order.Descending, take: most);
        return [.. entries.Select(entry => (entry.Element.ToString(), (long)entry.Score))];
    }

    /// <summary>Notes that something is being read, for a time; false where <see cref="DeletingAsync"/> has noted that it is
    /// deleted.</summary>
    public async Task<bool> ReadingAsync(string reading, string deleting, TimeSpan life, CancellationToken token) =>
        (long)await (await DatabaseAsync(token)).ScriptEvaluateAsync(
            Reading, [reading, deleting], [(long)life.TotalMilliseconds]) == 0;

    /// <summary>Notes that things are being deleted, for a time; false where one of them was read within
    /// <paramref name="window"/>.</summary>
    /// <param name="readings">The names by which <see cref="ReadingAsync"/> knows them, with the life of its notes.</param>
    public async Task<bool> DeletingAsync(
        (IEnumerable<string> Names, TimeSpan Life) readings, IEnumerable<string> deletings, TimeSpan window, TimeSpan life,
        CancellationToken token) =>
        (long)await (await DatabaseAsync(token)).ScriptEvaluateAsync(
            Deleting, [.. readings.Names.Concat(deletings).Select(name => (RedisKey)name)],
            [(long)readings.Life.TotalMilliseconds, (long)window.TotalMilliseconds, (long)life.TotalMilliseconds]) == 1;

    /// <summary>Ends what <see cref="DeletingAsync"/> has noted.</summary>
    public async Task DeletedAsync(IEnumerable<string> deletings, CancellationToken token) =>
        await (await DatabaseAsync(token)).KeyDeleteAsync([.. deletings.Select(name => (RedisKey)name)]);

    /// <summary>Sends a message to every listener of a channel, this process included.</summary>
    public async Task AnnounceAsync(string channel, string message, CancellationToken token) =>
        await (await ConnectionAsync(token)).GetSubscriber().PublishAsync(RedisChannel.Literal(channel), message);

    /// <summary>Listens to a channel until the process ends. Messages sent while the connection is lost are not heard.</summary>
    public async Task ListenAsync(string channel, Action<string> heard, CancellationToken token)
    {
        var (subscriber, name) = ((await ConnectionAsync(token)).GetSubscriber(), RedisChannel.Literal(channel));
        try
        {
            await subscriber.SubscribeAsync(name, Handle);
        }
        catch
        {
            // The client keeps the handler of a failed subscription. The next attempt would add another one.
            await subscriber.UnsubscribeAsync(name, Handle, CommandFlags.FireAndForget);
            throw;
        }

        void Handle(RedisChannel from, RedisValue message) => heard(message!);
    }

    /// <summary>
    /// Whether a failure is the server's own answer, such as that its memory is full or that it is read-only: it can be asked other things.
    /// </summary>
    public static bool IsAnswer(Exception failure) => failure is RedisServerException;

    public async ValueTask DisposeAsync()
    {
        try
        {
            if (_connection is { IsCompletedSuccessfully: true } connection)
                await (await connection).DisposeAsync();
            if (_sentinels is { } sentinels)
                await sentinels.DisposeAsync();
        }
        catch (Exception gone) when (gone is RedisException or TimeoutException or ObjectDisposedException)
        {
            // The server closed the connection.
        }
    }

    /// <summary>Why there is no connection, once the attempt to connect has ended; null if there is one.</summary>
    public async Task<Exception?> ConnectionFaultAsync()
    {
        try
        {
            await (await DatabaseAsync(CancellationToken.None)).PingAsync();
            return null;
        }
        // Redis, the network, TLS or the client's own state.
        catch (Exception failure)
        {
            return failure;
        }
    }

    private async ValueTask<IDatabase> DatabaseAsync(CancellationToken token) => (await ConnectionAsync(token)).GetDatabase();

    private async ValueTask<ConnectionMultiplexer> ConnectionAsync(CancellationToken token)
    {
        Task<ConnectionMultiplexer> connection;
        lock (_gate)
        {
            // Not on the caller's thread: connecting begins with a name look-up that cannot be cancelled.
            if (_connection is null or { IsCompleted: true, IsCompletedSuccessfully: false })
                _connection = Task.Run(ConnectAsync, CancellationToken.None);
            connection = _connection;
        }
        return await connection.WaitAsync(token);
    }

    private async Task<ConnectionMultiplexer> ConnectAsync()
    {
        var server = Configure(_options.Username, _options.Password);
        if (_options.MasterName is not { } name)
            return await ConnectionMultiplexer.ConnectAsync(server);
        server.ServiceName = name;
        // The Sentinels say which server is the master, now and after each failover. They have users of their own.
        _sentinels ??= await ConnectionMultiplexer.SentinelConnectAsync(Configure(_options.SentinelUsername, _options.SentinelPassword));
        return _sentinels.GetSentinelMasterConnection(server);
    }

    private ConfigurationOptions Configure(string? user, string? password)
    {
        var tls = _options.Tls;
        var configuration = new ConfigurationOptions
        {
            // The server may start after us, stop, and come back.
            AbortOnConnectFail = false,
            ConnectTimeout = (int)_options.DialTimeout.TotalMilliseconds,
            ReconnectRetryPolicy = new LinearRetry(500),
            KeepAlive = 5,
            // A command that waits for the server to come back would be carried out when its caller has long gone on without it.
            BacklogPolicy = BacklogPolicy.FailFast,
            DefaultDatabase = _options.Db,
            User = user,
            Password = password,
            ClientName = _options.ClientName,
            // A Redis user may be limited to our own keys and channels, so the client must not touch its own.
            TieBreaker = "",
            ConfigurationChannel = "",
            SetClientLibrary = false,
            Ssl = tls is { Enabled: true } or { Certificate: not null } or { RootCas.Length: > 0 },
        };
        foreach (var server in _options.Servers())
            configuration.EndPoints.Add(server);
        if (tls is { Certificate: { } certificate, Key: { } key })
        {
            var own = new RenewedFiles<X509Certificate2>(
                () => [certificate, key], () => KeyPair.Read(certificate, key), TimeProvider.System);
            configuration.CertificateSelection += (_, _, _, _, _) => own.Current;
        }
        // Only the configured authorities are trusted, where there are any.
        var authorities = new RenewedFiles<PrivateAuthorities>(
            () => tls.RootCas, () => new PrivateAuthorities(tls.RootCas), TimeProvider.System);
        if (!authorities.Current.IsEmpty)
            configuration.CertificateValidation += (_, certificate, sent, errors) =>
                authorities.Current.TrustServer(certificate, sent, errors);
        return configuration;
    }
}
