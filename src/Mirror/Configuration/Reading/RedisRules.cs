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
        "asupersecret", "registry", "password", "please-change-me", "pleasechangeme", "your_secret_here", "your-secret-here", "change_me",
        "a-very-secret", "averysecret", "test", "docker", "123456", "1234567890", "1234567890123456",
    ];

    // A shorter one is found by trying.
    private const int MinSecret = 8;

    public static void Warn(RedisOptions redis, string? secret, Findings findings)
    {
        if (string.IsNullOrEmpty(secret))
            findings.Warnings.Add("redis without http.secret shares manifests only, and each replica downloads for itself");
        else if (SampleSecrets.Contains(secret, StringComparer.OrdinalIgnoreCase))
            findings.Warnings.Add("http.secret is a published sample, so others can pass for a replica; use: openssl rand -hex 32");
        else if (secret.Length < MinSecret)
            findings.Warnings.Add(
                $"http.secret has fewer than {MinSecret} characters, so others can guess it and pass for a replica; "
                + "use: openssl rand -hex 32");
        if (redis is { Username: not null, Password: null })
            findings.Warnings.Add("redis.username has no effect without redis.password");
        if (redis is { SentinelUsername: not null, SentinelPassword: null })
            findings.Warnings.Add("redis.sentinelusername has no effect without redis.sentinelpassword");
        if (redis is { MasterName: null, SentinelPassword: not null })
            findings.Warnings.Add("redis.sentinelpassword has no effect without redis.mastername");
    }
}
