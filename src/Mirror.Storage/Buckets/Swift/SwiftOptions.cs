namespace Mirror.Storage.Buckets.Swift;

/// <summary>Section <c>storage.swift</c>: a container of OpenStack Swift, with the keys of <c>registry:2</c>.</summary>
public sealed class SwiftOptions : BucketOptions
{
    /// <summary>As in <c>registry:2</c>, segments are longer than the parts of other stores.</summary>
    public SwiftOptions() => ChunkSize = 20 << 20;

    public override string Location => $"swift://{Container}/{Root}";

    public override string Identity => $"{AuthUrl} {Tenant}{TenantId} {Username} {Container} {Root}";

    public string Username { get; set; } = "";

    public string Password { get; set; } = "";

    /// <summary>The address of the service that gives tokens, with its version, for example <c>https://keystone.example/v3</c>.</summary>
    public string AuthUrl { get; set; } = "";

    /// <summary>1, 2 or 3. Default 0: the version in <see cref="AuthUrl"/>.</summary>
    public int AuthVersion { get; set; }

    public string Container { get; set; } = "";

    /// <summary>The name of the project, which Keystone called tenant.</summary>
    public string? Tenant { get; set; }

    public string? TenantId { get; set; }

    /// <summary>The name of the user's domain. Without it and <see cref="DomainId"/>: Keystone's domain <c>default</c>.</summary>
    public string? Domain { get; set; }

    public string? DomainId { get; set; }

    /// <summary>The name of the project's domain. Without it and <see cref="TenantDomainId"/>: the user's domain.</summary>
    public string? TenantDomain { get; set; }

    public string? TenantDomainId { get; set; }

    /// <summary>A trust of Keystone, which replaces the project.</summary>
    public string? TrustId { get; set; }

    /// <summary>The region whose store is used. Default: the first that the catalogue lists.</summary>
    public string? Region { get; set; }

    /// <summary>Which of a store's addresses is used.</summary>
    public SwiftEndpointType EndpointType { get; set; } = SwiftEndpointType.Public;

    /// <summary>Whether to accept any certificate. Default false.</summary>
    public bool InsecureSkipVerify { get; set; }

    /// <summary>The folder of all names. Default: none.</summary>
    public string Prefix { get; set; } = "";

    /// <summary>The key that signs temporary URLs. Default: the one that the store has, or else a new one.</summary>
    public string? SecretKey { get; set; }

    /// <summary>
    /// The version that is meant: <see cref="AuthVersion"/>, or else the one in <see cref="AuthUrl"/>; null if neither tells.
    /// </summary>
    public int? Version => AuthVersion != 0 ? AuthVersion
        : AuthUrl.Contains("v3", StringComparison.Ordinal) ? 3
        : AuthUrl.Contains("v2", StringComparison.Ordinal) ? 2
        : AuthUrl.Contains("v1", StringComparison.Ordinal) ? 1
        : null;

    /// <summary><see cref="Prefix"/> as names begin with it: empty, or with a slash at its end only.</summary>
    internal string Root => Prefix.Trim('/') is { Length: > 0 } folder ? $"{folder}/" : "";
}

/// <summary>The kinds of addresses in Keystone's catalogue.</summary>
public enum SwiftEndpointType
{
    Public,
    Internal,
    Admin,
}
