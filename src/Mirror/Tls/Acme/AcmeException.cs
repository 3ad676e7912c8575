namespace Mirror.Tls.Acme;

/// <summary>The authority refused, could not be reached, or sent another answer than RFC 8555 describes. The message says which.</summary>
internal sealed class AcmeException(string message, Exception? inner = null) : Exception(message, inner)
{
    private const string Prefix = "urn:ietf:params:acme:error:";

    /// <summary>The type of the problem without its prefix (RFC 8555, 6.7), such as <c>rateLimited</c>; null where there is none.</summary>
    public string? Type { get; init; }

    /// <summary>The status of the answer; 0 where none came.</summary>
    public int Status { get; init; }

    /// <summary>How long the authority asks to wait.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>A problem as an exception.</summary>
    /// <param name="what">What was refused, as the subject of a sentence.</param>
    public static AcmeException Of(string what, AcmeProblem? problem, int status = 0, TimeSpan? retryAfter = null)
    {
        var type = problem?.Type;
        if (type?.StartsWith(Prefix, StringComparison.Ordinal) is true)
            type = type[Prefix.Length..];
        var reason = problem?.Detail ?? type ?? (status > 0 ? $"status {status}" : "no reason given");
        return new AcmeException($"{what}: {OneLine(reason)}")
        {
            Type = type,
            Status = status,
            RetryAfter = retryAfter,
        };
    }

    // The authority chooses the text, and it goes into a line of the log.
    private static string OneLine(string text)
    {
        const int longest = 500;
        var line = string.Concat(text.Take(longest).Select(c => char.IsControl(c) ? ' ' : c));
        return text.Length > longest ? line + "..." : line;
    }
}
