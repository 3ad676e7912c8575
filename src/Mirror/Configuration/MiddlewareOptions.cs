namespace Mirror.Configuration;

/// <summary>Section <c>middleware</c>: of the three kinds of <c>registry:2</c> only the one about the store has members.</summary>
public sealed class MiddlewareOptions
{
    /// <summary>What changes the addresses that clients are sent to for blobs; each changes the addresses of those before it.</summary>
    public StorageMiddlewareOptions[] Storage { get; set; } = [];
}

/// <summary>An entry of <c>middleware.storage</c>.</summary>
public sealed class StorageMiddlewareOptions
{
    /// <summary><c>cloudfront</c>, <c>redirect</c> or <c>rewrite</c>.</summary>
    public string Name { get; set; } = "";

    public bool Disabled { get; set; }

    public StorageMiddlewareSettings Options { get; set; } = new();
}

/// <summary>Section <c>middleware.storage[].options</c>. Each kind of middleware has some of these keys.</summary>
public sealed class StorageMiddlewareSettings
{
    /// <summary>The address of the distribution (<c>cloudfront</c>), or of the server that has the blobs (<c>redirect</c>).</summary>
    public string? BaseUrl { get; set; }

    /// <summary>The RSA key of the distribution in PEM, or the path of its file.</summary>
    public string? PrivateKey { get; set; }

    /// <summary>The name that CloudFront has for the key.</summary>
    public string? KeyPairId { get; set; }

    /// <summary>How long an address of the distribution is valid. Default 20 minutes.</summary>
    public TimeSpan Duration { get; set; } = TimeSpan.FromMinutes(20);

    /// <summary>Which clients are sent to the bucket and not to the distribution. Default none.</summary>
    public AwsClients IpFilteredBy { get; set; } = AwsClients.None;

    /// <summary>The regions of these clients, separated by commas.</summary>
    public string? AwsRegion { get; set; }

    /// <summary>How often AWS's list of addresses is loaded. Default 12 hours.</summary>
    public TimeSpan? UpdateFrequency { get; set; }

    /// <summary>The same, as older files of <c>registry:2</c> spell it.</summary>
    public TimeSpan? UpdateFrenquency { get; set; }

    /// <summary>The address of that list. Default: AWS's own.</summary>
    public Uri IpRangesUrl { get; set; } = new("https://ip-ranges.amazonaws.com/ip-ranges.json");

    /// <summary>The scheme of addresses (<c>rewrite</c>). Default: as it is.</summary>
    public string? Scheme { get; set; }

    /// <summary>The host of addresses, with a port where there is one (<c>rewrite</c>). Default: as it is.</summary>
    public string? Host { get; set; }

    /// <summary>What is cut off from the beginning of paths (<c>rewrite</c>). Default: nothing.</summary>
    public string? TrimPathPrefix { get; set; }
}

/// <summary>Clients that a CloudFront distribution would serve at a cost, and the bucket for free.</summary>
public enum AwsClients
{
    None,

    /// <summary>Those with an address of AWS.</summary>
    Aws,

    /// <summary>Those with an address of some of AWS's regions.</summary>
    AwsRegion,
}
