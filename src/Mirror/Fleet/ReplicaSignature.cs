using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Mirror.Fleet;

/// <summary>
/// Signs requests between replicas, and short texts that come back from Redis or from a client (HMAC-SHA256). It does not encrypt them.
/// </summary>
public sealed class ReplicaSignature(FleetKeys keys, TimeProvider time)
{
    /// <summary>The header of a signed request.</summary>
    public const string Header = "X-Mirror-Replica";

    // The clocks of two replicas differ, and a request may wait in a queue.
    private static readonly TimeSpan Leeway = TimeSpan.FromSeconds(60);

    private readonly byte[] _key = keys.For("signatures");

    /// <summary>The header's value for a request to another replica. It is valid for this method and path, for a minute.</summary>
    public string Sign(string method, string pathAndQuery) => SignAt(time.GetUtcNow().ToUnixTimeSeconds(), method, pathAndQuery);

    /// <summary>Whether another replica signed this request.</summary>
    public bool IsFromReplica(HttpRequest request)
    {
        if (!keys.IsShared || request.Headers[Header] is not [{ } header]
            || !long.TryParse(header.Split(':')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var at)
            || Math.Abs(time.GetUtcNow().ToUnixTimeSeconds() - at) > Leeway.TotalSeconds)
            return false;
        return AreEqual(header, SignAt(at, request.Method, SignedPart(request)));
    }

    /// <summary>The path and query of a request, as both replicas see them.</summary>
    public static string SignedPart(HttpRequest request) => $"{request.Path}{request.QueryString}";

    /// <summary>A text with its signature, in ASCII. The signature is valid only where <paramref name="place"/> is the same.</summary>
    public string SignText(string place, string text) => $"{text} {Mac("text", place, text)}";

    /// <summary>Reads what <see cref="SignText"/> returned for this place; false for anything else.</summary>
    public bool TryReadText(string place, string? given, [NotNullWhen(true)] out string? text)
    {
        text = given?.LastIndexOf(' ') is > 0 and var end ? given[..end] : null;
        if (text is not null && AreEqual(given!, SignText(place, text)))
            return true;
        text = null;
        return false;
    }

    private string SignAt(long seconds, string method, string pathAndQuery)
    {
        var at = seconds.ToString(CultureInfo.InvariantCulture);
        return $"{at}:{Mac("request", at, method, pathAndQuery)}";
    }

    private string Mac(params ReadOnlySpan<string> parts) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(string.Join('\n', parts))));

    private static bool AreEqual(string given, string right) =>
        CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given), Encoding.UTF8.GetBytes(right));
}
