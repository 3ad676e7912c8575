namespace Mirror.Upstream;

/// <summary>What the operator can do if no TLS connection to an upstream can be made.</summary>
internal static class TlsFault
{
    /// <summary>The advice; null if the failure is another one.</summary>
    /// <param name="url">Where the request was sent; null if that is not known.</param>
    /// <param name="isOtherHost">Whether it was sent to a host that upstream named: then no setting has its address.</param>
    public static string? AdviceFor(Exception? failure, Uri? url = null, bool isOtherHost = false)
    {
        // A server that expects TLS closes the connection on plain HTTP, or answers with a TLS alert.
        if (url?.Scheme == Uri.UriSchemeHttp && failure is HttpRequestException
            {
                HttpRequestError: HttpRequestError.ResponseEnded or HttpRequestError.InvalidResponse,
            })
            return "if this port speaks TLS, write https:// in proxy.remoteurl; otherwise ask the operators of upstream";
        for (var each = failure; each is not null; each = each.InnerException)
            if (each is HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError })
            {
                var cause = each.GetBaseException().Message;
                return isOtherHost && (IsPlainText(cause) || Has("RemoteCertificateNameMismatch")) ? null
                    : IsPlainText(cause)
                        ? "this port does not speak TLS: write http:// in proxy.remoteurl"
                    : Has("RemoteCertificateNameMismatch")
                        ? "write a name that is in upstream's certificate in proxy.remoteurl, or let its operators add this name to the "
                            + "certificate"
                    : Has("NotTimeValid")
                        ? "let the operators of upstream renew the certificate; if it is valid, set the clock of this machine"
                    // What .NET says of a chain that ends at no authority of this machine.
                    : Has("UntrustedRoot") || Has("PartialChain")
                        ? "write the certificate of the authority that signed upstream's into a file, and name the file in proxy.tls.ca"
                    // Alert 40 of TLS.
                    : Has("alert handshake failure")
                        ? "upstream and this mirror probably have no TLS cipher suite in common: let upstream offer TLS 1.3, or for TLS "
                            + "1.2 a suite with ECDHE and AES-GCM; if upstream requires a client certificate, set proxy.tls.certificate"
                    : null;

                bool Has(string words) => cause.Contains(words, StringComparison.Ordinal);
            }
        return null;
    }

    /// <summary>Whether the body of a 400 says that the port speaks TLS, as those of nginx, Apache and programs in Go do.</summary>
    public static bool IsSaidIn(string body) =>
        body.Contains("HTTPS", StringComparison.Ordinal) || body.Contains("SSL-enabled", StringComparison.Ordinal);

    /// <summary>Whether the other side does not speak TLS, by what .NET says of the bytes that it sent.</summary>
    /// <param name="cause">The message of the innermost exception.</param>
    public static bool IsPlainText(string cause) =>
        cause.Contains("frame size", StringComparison.Ordinal) || cause.Contains("corrupted frame", StringComparison.Ordinal);
}
