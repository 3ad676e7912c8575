namespace Mirror.Upstream;

/// <summary>What the operator can do if no TLS connection to an upstream can be made.</summary>
internal static class TlsFault
{
    /// <summary>The advice; null if the failure is another one.</summary>
    public static string? AdviceFor(Exception? failure)
    {
        for (var each = failure; each is not null; each = each.InnerException)
            if (each is HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError })
            {
                var cause = each.GetBaseException().Message;
                // What .NET says of bytes that are not TLS, and of a chain that ends at no authority of this machine.
                return Has("frame size") || Has("corrupted frame")
                        ? "this port does not speak TLS: write http:// in proxy.remoteurl"
                    : Has("UntrustedRoot") || Has("PartialChain") || Has("RemoteCertificateValidationCallback")
                        ? "write the certificate of the authority that signed upstream's into a file, and name the file in proxy.tls.ca"
                    : null;

                bool Has(string words) => cause.Contains(words, StringComparison.Ordinal);
            }
        return null;
    }
}
