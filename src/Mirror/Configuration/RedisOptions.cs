namespace Mirror.Configuration;

/// <summary>Section <c>redis</c>: the Redis that replicas share. The keys are those of <c>registry:2</c> and <c>registry:3</c>.</summary>
public sealed class RedisOptions
{
    /// <summary>One server, <c>host:port</c> (2.x); null (the default) where <see cref="Addrs"/> names it, or there is none.</summary>
    public string? Addr { get; set; }

    /// <summary>The servers of a cluster, or one server, or the Sentinels of <see cref="MasterName"/> (3.x). Default none.</summary>
    public string[] Addrs { get; set; } = [];

    /// <summary>The name that Redis shows for our connections; null (the default) is the machine's name.</summary>
    public string? ClientName { get; set; }

    /// <summary>The Redis user (ACL) to log in as; null (the default) is Redis' default user. It needs a <see cref="Password"/>.</summary>
    public string? Username { get; set; }

    /// <summary>The user's password; null (the default) means no login.</summary>
    public string? Password { get; set; }

    /// <summary>The master's name at the Sentinels; null (the default) means that <see cref="Addrs"/> are servers.</summary>
    public string? MasterName { get; set; }

    /// <summary>The user to log in as at the Sentinels; null (the default) is their default user.</summary>
    public string? SentinelUsername { get; set; }

    /// <summary>The password at the Sentinels; null (the default) means no login.</summary>
    public string? SentinelPassword { get; set; }

    /// <summary>The number of the database. Default 0.</summary>
    public int Db { get; set; }

    /// <summary>How long a connection attempt may take. Default 1 second. Clients do not wait for it.</summary>
    public TimeSpan DialTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How long to wait for an answer before the server continues without it. Default 200 ms; at least 50 ms and at most 1 second are used.
    /// </summary>
    public TimeSpan ReadTimeout { get; set; } = TimeSpan.FromMilliseconds(200);

    /// <summary>How long the sending of a command may take; null (the default) is <see cref="ReadTimeout"/>.</summary>
    public TimeSpan? WriteTimeout { get; set; }

    /// <summary>One limit covers the sending of a command and the wait for its answer: the longer of the two settings.</summary>
    public TimeSpan CallTimeout => WriteTimeout > ReadTimeout ? WriteTimeout.Value : ReadTimeout;

    public RedisTlsOptions Tls { get; set; } = new();

    /// <summary>All configured servers.</summary>
    public IReadOnlyList<string> Servers() => Addr is { Length: > 0 } one ? [one, .. Addrs] : Addrs;
}

/// <summary>Section <c>redis.tls</c>.</summary>
public sealed class RedisTlsOptions
{
    /// <summary>Whether to use TLS. Default false; a certificate or an authority turns it on as well.</summary>
    public bool Enabled { get; set; }

    /// <summary>A PEM file with our own certificate; null (the default) means that we show none.</summary>
    public string? Certificate { get; set; }

    /// <summary>A PEM file with that certificate's key.</summary>
    public string? Key { get; set; }

    /// <summary>PEM files with the authorities to trust in place of the system's. Default none.</summary>
    public string[] RootCas { get; set; } = [];
}
