using System.Globalization;

namespace Mirror.Registry;

/// <summary>Lists in pages: the parameters <c>n</c> and <c>last</c>, and the <c>Link</c> to the next page (RFC 8288).</summary>
internal static class Paging
{
    /// <summary>A parameter of the query; null where there is none, or an empty one.</summary>
    public static string? Value(IQueryCollection query, string name) => query[name] is [{ Length: > 0 } value, ..] ? value : null;

    /// <summary>The parameter <c>n</c>: how many entries the client wants at most; null where there is none.</summary>
    /// <exception cref="RegistryException">It is not a whole number from 0 on.</exception>
    public static int? Count(IQueryCollection query)
    {
        if (Value(query, "n") is not { } asked)
            return null;
        return int.TryParse(asked, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count
            : throw new RegistryException(RegistryError.PaginationNumberInvalid, $"'n' is a whole number from 0 to {int.MaxValue}");
    }

    /// <summary>
    /// Sets the <c>Link</c> to the next page: the requested path with these parameters, and with the <c>ns</c> of the request. Parameters
    /// that are null are left out.
    /// </summary>
    public static void Link(RegistryRequest request, params (string Name, object? Value)[] parameters)
    {
        var http = request.Http.Request;
        var query = QueryString.Create(
            from parameter in parameters.Append(("ns", request.Namespace))
            where parameter.Value is not null
            select KeyValuePair.Create(parameter.Name, Convert.ToString(parameter.Value, CultureInfo.InvariantCulture)));
        request.Http.Response.Headers.Link = $"<{http.Path.ToUriComponent()}{query}>; rel=\"next\"";
    }
}
