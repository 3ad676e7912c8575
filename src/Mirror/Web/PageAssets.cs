using System.Security.Cryptography;

namespace Mirror.Web;

/// <summary>The style sheet, the script and the icon of the pages, which are in the program.</summary>
internal static class PageAssets
{
    private static readonly Dictionary<string, (string Type, byte[] Bytes)> All = new()
    {
        ["style.css"] = ("text/css; charset=utf-8", Read("style.css")),
        ["live.js"] = ("text/javascript; charset=utf-8", Read("live.js")),
        ["icon.svg"] = ("image/svg+xml", Read("icon.svg")),
    };

    /// <summary>Changes with any of them, so that a browser may keep them for long.</summary>
    public static readonly string Version =
        Convert.ToHexStringLower(SHA256.HashData([.. All.OrderBy(asset => asset.Key).SelectMany(asset => asset.Value.Bytes)]))[..12];

    /// <summary>Sends one; false where there is none of this name.</summary>
    public static async ValueTask<bool> TrySendAsync(HttpContext http, string name)
    {
        if (!All.TryGetValue(name, out var asset))
            return false;
        http.Response.ContentType = asset.Type;
        http.Response.ContentLength = asset.Bytes.Length;
        http.Response.Headers.CacheControl = http.Request.Query["v"] == Version ? "public, max-age=31536000, immutable" : "no-cache";
        if (!HttpMethods.IsHead(http.Request.Method))
            await http.Response.Body.WriteAsync(asset.Bytes, http.RequestAborted);
        return true;
    }

    private static byte[] Read(string name)
    {
        using var stream = typeof(PageAssets).Assembly.GetManifestResourceStream($"ui/{name}")
            ?? throw new InvalidOperationException($"The program lacks {name}.");
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
