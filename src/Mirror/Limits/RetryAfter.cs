namespace Mirror.Limits;

/// <summary>Reads the header <c>Retry-After</c>.</summary>
public static class RetryAfter
{
    /// <summary>How long to wait before the next request (RFC 9110, 10.2.3); null if the response does not say.</summary>
    public static TimeSpan? Of(HttpResponseMessage response, TimeProvider time)
    {
        // A date is one of the sender's clock, which the response tells as well.
        var pause = response.Headers.RetryAfter is { } asked
            ? asked.Delta ?? asked.Date - (response.Headers.Date ?? time.GetUtcNow())
            : null;
        return pause > TimeSpan.Zero ? pause : null;
    }
}
