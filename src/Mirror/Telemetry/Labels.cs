using System.Globalization;

namespace Mirror.Telemetry;

/// <summary>
/// Label values for what clients and upstreams choose themselves. Both sets are closed, so that no peer can make a
/// new time series by inventing a method or a status.
/// </summary>
internal static class Labels
{
    private static readonly string[] Statuses = BuildStatuses();

    /// <summary>A usual status as its number, an unusual one as its class (<c>4xx</c>), nonsense as <c>other</c>.</summary>
    public static string Status(int status) => (uint)status < (uint)Statuses.Length ? Statuses[status] : "other";

    /// <summary>Lower case, as <c>registry:3</c> writes it; <c>other</c> for a method no registry knows.</summary>
    public static string Method(string method) => method switch
    {
        "GET" => "get",
        "HEAD" => "head",
        "POST" => "post",
        "PUT" => "put",
        "PATCH" => "patch",
        "DELETE" => "delete",
        "OPTIONS" => "options",
        _ => "other",
    };

    private static string[] BuildStatuses()
    {
        var statuses = new string[600];
        for (var status = 0; status < statuses.Length; status++)
            statuses[status] = status < 100 ? "other" : $"{status / 100}xx";
        ReadOnlySpan<int> usual =
        [
            200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308,
            400, 401, 403, 404, 405, 406, 408, 409, 410, 412, 413, 415, 416, 429, 431, 451, 499,
            500, 501, 502, 503, 504,
        ];
        foreach (var status in usual)
            statuses[status] = status.ToString(CultureInfo.InvariantCulture);
        return statuses;
    }
}
