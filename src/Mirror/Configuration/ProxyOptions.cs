namespace Mirror.Configuration;

/// <summary>Section <c>proxy</c>: the registry that is mirrored.</summary>
public sealed class ProxyOptions
{
    /// <summary>The upstream registry, http or https; null (the default) makes this a plain registry. Docker Hub's other names are already
    /// replaced by <c>https://registry-1.docker.io</c>.</summary>
    public Uri? RemoteUrl { get; set; }

    /// <summary>The account used upstream; null (the default) is anonymous.</summary>
    public string? Username { get; set; }

    public string? Password { get; set; }

    /// <summary>A credential helper to ask instead of <see cref="Username"/> and <see cref="Password"/>; null (the default) is none.</summary>
    public CredentialHelperOptions? Exec { get; set; }

    /// <summary>How long a tag is believed before upstream is asked again; zero asks every time. Default 10 minutes.</summary>
    [ConfigurationKeyName("tags_cache_ttl")]
    public TimeSpan TagsCacheTtl { get; set; } = TimeSpan.FromMinutes(10);
}
