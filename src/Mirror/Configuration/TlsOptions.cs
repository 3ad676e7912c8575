using System.Security.Authentication;

namespace Mirror.Configuration;

/// <summary>Section <c>http.tls</c>: HTTPS, and the certificates that clients must show. Without a certificate the registry speaks plain HTTP.</summary>
public sealed class TlsOptions
{
    /// <summary>A PEM file: the server's certificate, then what it was issued by; null (the default) means plain HTTP.</summary>
    public string? Certificate { get; set; }

    /// <summary>A PEM file with the certificate's key.</summary>
    public string? Key { get; set; }

    /// <summary>PEM files of the authorities that issue clients' certificates; none (the default) means that none is asked for.</summary>
    public string[] ClientCas { get; set; } = [];

    /// <summary>What becomes of a client's certificate. Default <see cref="ClientAuth.RequireAndVerify"/>; only with <see cref="ClientCas"/>.</summary>
    public ClientAuth ClientAuth { get; set; } = ClientAuth.RequireAndVerify;

    /// <summary>The oldest protocol version that is spoken. Default TLS 1.2.</summary>
    public TlsVersion MinimumTls { get; set; } = TlsVersion.Tls12;

    /// <summary>The versions from <see cref="MinimumTls"/> on.</summary>
    public SslProtocols Protocols => MinimumTls is TlsVersion.Tls13 ? SslProtocols.Tls13 : SslProtocols.Tls12 | SslProtocols.Tls13;
}

/// <summary>What becomes of a client's certificate, in the order of <c>registry:3</c>'s words.</summary>
public enum ClientAuth
{
    /// <summary>A certificate of the known authorities is required.</summary>
    RequireAndVerify,

    /// <summary>A certificate, if shown, must be of the known authorities.</summary>
    VerifyIfGiven,
}

/// <summary>Versions of TLS that are safe to speak. Older ones, which the registry's file may name, mean 1.2.</summary>
public enum TlsVersion
{
    Tls12,
    Tls13,
}
