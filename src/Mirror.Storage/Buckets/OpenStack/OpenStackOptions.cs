namespace Mirror.Storage.Buckets.OpenStack;

/// <summary>What the sections of OpenStack's services have in common: how to log in, with the keys of <c>registry:2</c>.</summary>
public abstract class OpenStackOptions : BucketOptions
{
    public string Username { get; set; } = "";

    public string Password { get; set; } = "";

    /// <summary>The address of the service that gives tokens, with its version, for example <c>https://keystone.example/v3</c>.</summary>
    public string AuthUrl { get; set; } = "";

    /// <summary>1, 2 or 3. Default 0: the version in <see cref="AuthUrl"/>.</summary>
    public int AuthVersion { get; set; }

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

    /// <summary>The region whose service is used. Default: the first that the catalogue lists.</summary>
    public string? Region { get; set; }

    /// <summary>Which of a service's addresses is used.</summary>
    public OpenStackEndpointType EndpointType { get; set; } = OpenStackEndpointType.Public;

    /// <summary>Whether to accept any certificate. Default false.</summary>
    public bool InsecureSkipVerify { get; set; }

    /// <summary>
    /// The version that is meant: <see cref="AuthVersion"/>, or else the one in <see cref="AuthUrl"/>; null if neither tells.
    /// </summary>
    public int? Version => AuthVersion != 0 ? AuthVersion
        : AuthUrl.Contains("v3", StringComparison.Ordinal) ? 3
        : AuthUrl.Contains("v2", StringComparison.Ordinal) ? 2
        : AuthUrl.Contains("v1", StringComparison.Ordinal) ? 1
        : null;
}

/// <summary>The kinds of addresses in Keystone's catalogue.</summary>
public enum OpenStackEndpointType
{
    Public,
    Internal,
    Admin,
}
