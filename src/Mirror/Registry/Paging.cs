using System.Globalization;

namespace Mirror.Registry;

/// <summary>Lists in pages: <c>n</c>, <c>last</c> and the <c>Link</c> to the next (RFC 8288).</summary>
internal static class Paging
{
    /// <summary>How many entries the client wants at most; null where it does not say.</summary>
    /// <exception cref="RegistryException">It is not a number from 0 on.</exception>
    public static int? Count(IQueryCollection query)
    {
        if (query["n"] is not { Count: > 0 } asked)
            return null;
        return int.TryParse(asked.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count
            : throw new RegistryException(RegistryError.PaginationNumberInvalid, $"'n' is a whole number from 0 to {int.MaxValue}");
    }

    /// <summary>Points to the page behind <paramref name="last"/>.</summary>
    public static void Link(RegistryRequest request, int count, string last)
    {
        var http = request.Http.Request;
        request.Http.Response.Headers.Link = $"<{http.PathBase}{http.Path}?last={Uri.EscapeDataString(last)}&n={count}{Namespace(request)}>; rel=\"next\"";
    }

    private static string Namespace(RegistryRequest request) => request.Namespace is { } ns ? $"&ns={Uri.EscapeDataString(ns)}" : "";
}
