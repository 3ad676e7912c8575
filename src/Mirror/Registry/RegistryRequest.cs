using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Registry;

/// <summary>One request on its way through the registry: what was asked, and what is to be told about it afterwards.</summary>
public sealed class RegistryRequest(HttpContext http, RegistryRoute route)
{
    public HttpContext Http => http;

    public RegistryRoute Route => route;

    public bool IsHead => HttpMethods.IsHead(http.Request.Method);

    public CancellationToken Aborted => http.RequestAborted;

    /// <summary>How the answer came; null until it is known, and for what is not mirrored.</summary>
    public CacheStatus? CacheStatus { get; private set; }

    /// <summary>Body bytes given to the client so far.</summary>
    public long Written { get; set; }

    /// <summary>The error that was answered, and what its detail said.</summary>
    public (RegistryError Error, string? Detail)? Failed { get; set; }

    /// <summary>Who asks; null where nobody has to say so.</summary>
    public string? User { get; set; }

    /// <summary>The registry that the client means (OCI distribution-spec, "Registry Proxying"); null where it does not say.</summary>
    public string? Namespace => http.Request.Query["ns"] is { Count: > 0 } ns ? ns.ToString() : null;

    /// <summary>The repository, with the registry before it where the client names one.</summary>
    /// <exception cref="RegistryException">The name breaks the grammar.</exception>
    public RepositoryName Name =>
        RepositoryName.TryParse(Namespace is { } ns ? $"{ns}/{route.Name}" : route.Name, out var name) ? name
            : Namespace is not null && RepositoryName.TryParse(route.Name, out _) ? throw new RegistryException(RegistryError.NameUnknown, "no such registry is mirrored here")
            : throw new RegistryException(RegistryError.NameInvalid, $"a name is lower-case letters, digits and separators in parts joined by '/', {RepositoryName.MaxLength} characters at most");

    /// <exception cref="RegistryException">It is neither a tag nor a digest.</exception>
    public Reference Reference =>
        Reference.TryParse(route.Last, out var reference) ? reference
            : route.Last.Contains(':', StringComparison.Ordinal) ? throw new RegistryException(RegistryError.DigestInvalid, "a digest is " + Digest.Format)
            : throw new RegistryException(RegistryError.TagInvalid, "a tag is a word character and up to 127 of word characters, '.' and '-'");

    /// <exception cref="RegistryException">It is not a digest.</exception>
    public Digest Digest =>
        Digest.TryParse(route.Last, out var digest) ? digest
            : throw new RegistryException(RegistryError.DigestInvalid, "a digest is " + Digest.Format);

    /// <summary>Says in the headers, and remembers for log and metrics, how an answer came. Before the first body byte.</summary>
    public void SetCacheStatus<T>(in Answer<T> answer)
    {
        CacheStatus = answer.CacheStatus;
        if (answer.CacheStatus is { } outcome)
            http.Response.Headers["X-Cache"] = outcome.Label;
        // RFC 9111 5.5: 110 is "response is stale", but the distribution-spec allows 299 only, without a date.
        if (answer.Stale is not null)
            http.Response.Headers.Warning = "299 - \"stale: the upstream registry could not be asked\"";
    }
}
