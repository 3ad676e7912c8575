namespace Mirror.Configuration;

/// <summary>The headers that the settings add to requests of the server: to endpoints of notifications, and of checks.</summary>
internal static class ConfiguredHeaders
{
    // They say how a body is sent, and so belong to the connection. registry:2 takes them in its settings too, and does not send them.
    private static readonly string[] OfTheConnection = ["Content-Length", "Transfer-Encoding", "Trailer"];

    /// <summary>Whether a configured header is sent.</summary>
    public static bool IsSent(string name) => !OfTheConnection.Contains(name, StringComparer.OrdinalIgnoreCase);

    /// <summary>Sets headers, in place of those of the same names. A header that describes a body, such as <c>Content-Type</c>, is left
    /// out of a request without a body.</summary>
    public static void Set(HttpRequestMessage request, Dictionary<string, string[]> headers)
    {
        foreach (var (name, values) in headers.Where(header => IsSent(header.Key)))
        {
            // The request and its body have a collection each. A header that is added to the wrong one is refused; to remove it there
            // would be an exception.
            if (request.Headers.TryAddWithoutValidation(name, []))
                Replace(request.Headers, name, values);
            else if (request.Content is { } content)
                Replace(content.Headers, name, values);
        }
    }

    private static void Replace(System.Net.Http.Headers.HttpHeaders headers, string name, string[] values)
    {
        headers.Remove(name);
        headers.TryAddWithoutValidation(name, values);
    }
}
