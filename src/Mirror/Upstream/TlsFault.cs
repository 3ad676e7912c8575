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
                // What .NET says of a chain that ends at no authority of this machine.
                return IsPlainText(cause)
                        ? "this port does not speak TLS: write http:// in proxy.remoteurl"
                    : Has("UntrustedRoot") || Has("PartialChain") || Has("RemoteCertificateValidationCallback")
                        ? "write the certificate of the authority that signed upstream's into a file, and name the file in proxy.tls.ca"
                    : null;

                bool Has(string words) => cause.Contains(words, StringComparison.Ordinal);
            }
        return null;
    }

    /// <summary>Whether the other side does not speak TLS, by what .NET says of the bytes that it sent.</summary>
    /// <param name="cause">The message of the innermost exception.</param>
    public static bool IsPlainText(string cause) =>
        cause.Contains("frame size", StringComparison.Ordinal) || cause.Contains("corrupted frame", StringComparison.Ordinal);
}
