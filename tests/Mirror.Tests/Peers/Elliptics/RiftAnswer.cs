using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace Mirror.Tests.Peers.Elliptics;

/// <summary>What answers and requests of both releases have in common.</summary>
internal static class RiftAnswer
{
    /// <summary>An answer without a body.</summary>
    public static Task Status(HttpContext context, int status)
    {
        context.Response.StatusCode = status;
        context.Response.ContentLength = status == 304 ? null : 0;
        return Task.CompletedTask;
    }

    public static async Task JsonAsync(HttpContext context, object value, string contentType = "text/json")
    {
        var body = RiftJson.Write(value);
        context.Response.ContentType = contentType;
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    /// <summary>The answer to an upload. The server has one node, so there is one entry.</summary>
    public static object Uploaded(RiftObject written) => new List<(string, object)> { ("info", new object[] { InfoOf(written) }) };

    /// <summary>Where an object is and how large it is. No checksum is computed.</summary>
    public static List<(string Name, object Value)> InfoOf(RiftObject found) =>
    [
        ("id", found.Id),
        ("csum", new string('0', 128)),
        ("filename", "/tmp/blob/data-0.0"),
        ("size", (long)found.Length),
        ("offset-within-data-file", 13717L),
        ("mtime", TimeOf(found.Modified)),
        ("server", "127.0.0.1:1025"),
    ];

    public static List<(string Name, object Value)> TimeOf(DateTimeOffset time)
    {
        var micros = time.Ticks / TimeSpan.TicksPerMicrosecond % 1_000_000;
        return
        [
            ("time", time.ToString("yyyy-MM-dd 'UTC' HH:mm:ss'.'", CultureInfo.InvariantCulture)
                + micros.ToString("D6", CultureInfo.InvariantCulture)),
            // The part of the second has no zeros before it.
            ("time-raw", string.Create(CultureInfo.InvariantCulture, $"{time.ToUnixTimeSeconds()}.{micros}")),
        ];
    }

    public static string Seconds(DateTimeOffset time) => time.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);

    /// <summary>A number of the query; null where it is none. A number that is not there is 0.</summary>
    public static long? Number(HttpContext context, string name) =>
        context.Request.Query[name] is not [{ } text, ..] ? 0
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
