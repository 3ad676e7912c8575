using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Mirror.Telemetry;

/// <summary>
/// Values of labels. The sets of statuses and methods are closed: no client and no upstream can make a new time series by inventing one.
/// </summary>
public static class Labels
{
    private static readonly string[] Statuses = BuildStatuses();

    extension<T>(T value) where T : struct, Enum
    {
        /// <summary>
        /// A member of one of this namespace's enums in <c>snake_case</c>, such as <c>blob_upload</c>. A constant: it allocates nothing.
        /// </summary>
        public string Label => Names<T>.All[Unsafe.BitCast<T, int>(value)];
    }

    /// <summary>A frequent status as its number, a rare one as its class (<c>4xx</c>), and anything else as <c>other</c>.</summary>
    public static string Status(int status) => (uint)status < (uint)Statuses.Length ? Statuses[status] : "other";

    /// <summary>Lower case, as <c>registry:3</c> writes it; <c>other</c> for a method that no registry knows.</summary>
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

    /// <summary>A label's pairs, one for each member of an enum, by its number.</summary>
    public static KeyValuePair<string, object?>[] Tags<T>(string key) where T : struct, Enum =>
        [.. Enum.GetValues<T>().Select(value => KeyValuePair.Create(key, (object?)value.Label))];

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

    private static class Names<T> where T : struct, Enum
    {
        public static readonly string[] All = [.. Enum.GetNames<T>().Select(JsonNamingPolicy.SnakeCaseLower.ConvertName)];
    }
}
