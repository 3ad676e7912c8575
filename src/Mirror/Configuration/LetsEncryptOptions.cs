namespace Mirror.Configuration;

/// <summary>Section <c>http.tls.letsencrypt</c>: certificates from an authority that speaks ACME (RFC 8555).</summary>
public sealed class LetsEncryptOptions
{
    /// <summary>The folder of certificates and keys, or the file of <c>registry:2</c>. Null: no certificates are obtained.</summary>
    public string? CacheFile { get; set; }

    /// <summary>The address that the authority may write to. Null: it has none.</summary>
    public string? Email { get; set; }

    /// <summary>The names that get a certificate, in ASCII and lower case.</summary>
    public string[] Hosts { get; set; } = [];

    /// <summary>The directory of the authority.</summary>
    public string DirectoryUrl { get; set; } = "https://acme-v02.api.letsencrypt.org/directory";

    /// <summary>The address of a listener for the challenge HTTP-01, as Go writes it. Null: the challenge is TLS-ALPN-01, on
    /// <c>http.addr</c>.</summary>
    public string? Http01 { get; set; }

    /// <summary>Whether certificates are obtained.</summary>
    public bool IsUsed => CacheFile is not null;
}
