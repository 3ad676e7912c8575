namespace Mirror.Configuration;

/// <summary>Section <c>redis</c>: what replicas share and may forget. The keys are those of both generations of the registry.</summary>
public sealed class RedisOptions
{
    /// <summary>One server, <c>host:port</c> (2.x); null (the default) where <see cref="Addrs"/> says it, or there is none.</summary>
    public string? Addr { get; set; }

    /// <summary>The servers of a cluster, or one (3.x). Default none.</summary>
    public string[] Addrs { get; set; } = [];

    /// <summary>What the server is to call our connections; null (the default) is the machine's name.</summary>
    public string? ClientName { get; set; }

    /// <summary>The password of Redis' default user; null (the default) means none is asked for.</summary>
    public string? Password { get; set; }

    /// <summary>The number of the database. Default 0.</summary>
    public int Db { get; set; }

    /// <summary>How long connecting may take. Default 1 second; it happens in the background, no client waits for it.</summary>
    public TimeSpan DialTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How long an answer is waited for before going on without. Default 200 ms; taken as 50 ms at least and 1 second at most.</summary>
    public TimeSpan ReadTimeout { get; set; } = TimeSpan.FromMilliseconds(200);

    public RedisTlsOptions Tls { get; set; } = new();

    /// <summary>Every server that is named.</summary>
    public IReadOnlyList<string> Servers() => Addr is { Length: > 0 } one ? [one, .. Addrs] : Addrs;
}

/// <summary>Section <c>redis.tls</c>.</summary>
public sealed class RedisTlsOptions
{
    /// <summary>Whether to speak TLS. Default false; naming a certificate or an authority asks for it as well.</summary>
    public bool Enabled { get; set; }

    /// <summary>A PEM file with our own certificate; null (the default) means none is shown.</summary>
    public string? Certificate { get; set; }

    /// <summary>A PEM file with that certificate's key.</summary>
    public string? Key { get; set; }

    /// <summary>PEM files with the authorities to believe in place of the system's. Default none.</summary>
    public string[] RootCas { get; set; } = [];
}
