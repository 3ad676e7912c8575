namespace Mirror.Tls.Acme;

/// <summary>What the operator can do about a failure.</summary>
internal static class Advice
{
    /// <param name="authority">The host of the authority.</param>
    /// <param name="folder">The folder of the certificates.</param>
    public static string For(Exception failure, string authority, string folder) => failure switch
    {
        AcmeException { Type: "connection" or "tls" or "incorrectResponse" or "unauthorized" } =>
            "The authority must reach this server from outside under that name: port 443 must lead to http.addr, or with "
            + "http.tls.letsencrypt.http01 port 80 to that address, and nothing in between may answer in its place",
        AcmeException { Type: "dns" } => "See that the name has an address in the public DNS, and that it is that of this server",
        AcmeException { Type: "caa" } => "The CAA record of the domain names other authorities; add this one to it",
        AcmeException { Type: "rateLimited" } => "Wait; the authority counts the certificates of a domain, and failed attempts",
        AcmeException { Type: "rejectedIdentifier" or "malformed" or "unsupportedIdentifier" } =>
            "See that http.tls.letsencrypt.hosts has names that the authority gives certificates for",
        AcmeException { Type: "unsupportedContact" or "invalidContact" } =>
            "See that http.tls.letsencrypt.email is an address that exists",
        AcmeException { Type: "unsupportedChallenge" } =>
            "Set http.tls.letsencrypt.http01 for the challenge HTTP-01, or leave it out for TLS-ALPN-01",
        AcmeException { Type: not null } => "See the authority's documentation",
        AcmeException { InnerException: not null, Status: 0 } =>
            $"See that this machine reaches {authority}, trusts its certificate (SSL_CERT_FILE names others), and that "
            + "http.tls.letsencrypt.directoryurl is correct",
        IOException or UnauthorizedAccessException =>
            $"See that the user of this process may write to {folder}, and that its disk has room",
        _ => "See that http.tls.letsencrypt.directoryurl is the directory of an ACME server, and that this machine's clock is correct",
    };
}
