namespace Mirror.Registry;

/// <summary>
/// Refuses a request whose body has a coding that the server does not know, such as <c>Transfer-Encoding: gzip, chunked</c> (RFC 9112,
/// 6.1). Kestrel takes everything that ends with chunked for chunked alone, and the server would store what is still packed.
/// </summary>
public static class TransferCodings
{
    /// <summary>Call it before the body is read. The connection ends after the answer.</summary>
    /// <exception cref="RegistryException">The server does not know the coding.</exception>
    public static void RequireKnown(HttpContext context)
    {
        var codings = context.Request.Headers.TransferEncoding;
        if (codings.Count == 0 || codings is [{ } only] && only.Equals("chunked", StringComparison.OrdinalIgnoreCase))
            return;
        context.Response.Headers.Connection = "close";
        throw new RegistryException(RegistryError.UnknownCoding, "send the body as it is, with Content-Length or in chunks");
    }
}
