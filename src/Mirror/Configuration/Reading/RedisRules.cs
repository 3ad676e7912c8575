namespace Mirror.Configuration.Reading;

/// <summary>Warnings about a configuration with Redis, where other replicas are expected.</summary>
internal static class RedisRules
{
    // From the samples of registry:2 and registry:3, from templates and recipes that are widely copied, and from our own documents.
    private static readonly string[] SampleSecrets =
    [
        "asecretforlocaldevelopment", "ALongRandomSecretForRegistry", "long-and-random-alphanumeric-string", "secret-key", "secret",
        "changeme", "the same for all, long and random", "placeholder", "asecret", "a-secret", "mysecret", "my-secret", "yoursecret",
        "your-secret", "your-secret-key", "secretkey", "mysecretkey", "supersecret", "super-secret", "topsecret", "thisisasecret",
        "silly-secret", "registrysecret", "registry-secret", "randomsecret", "random-secret", "a-random-secret", "haRandomSecret",
        "randomstringsecret", "somerandomsecret", "some-random-secret", "replaceme", "replace-me", "change-me", "<secret>",
    ];

    public static void Warn(RedisOptions redis, string? secret, Findings findings)
    {
        if (string.IsNullOrEmpty(secret))
            findings.Warnings.Add("redis without http.secret shares manifests only, and each replica downloads for itself");
        else if (SampleSecrets.Contains(secret, StringComparer.OrdinalIgnoreCase))
            findings.Warnings.Add("http.secret is a published sample, so others can pass for a replica; use: openssl rand -hex 32");
        if (redis is { Username: not null, Password: null })
            findings.Warnings.Add("redis.username has no effect without redis.password");
        if (redis is { SentinelUsername: not null, SentinelPassword: null })
            findings.Warnings.Add("redis.sentinelusername has no effect without redis.sentinelpassword");
        if (redis is { MasterName: null, SentinelPassword: not null })
            findings.Warnings.Add("redis.sentinelpassword has no effect without redis.mastername");
    }
}
