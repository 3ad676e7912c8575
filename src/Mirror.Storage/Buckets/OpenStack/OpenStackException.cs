using System.Net;

namespace Mirror.Storage.Buckets.OpenStack;

/// <summary>An answer of a service of OpenStack, or of the one that gives its tokens, that is not a success.</summary>
internal sealed class OpenStackException(HttpStatusCode status, string message) : Exception(message)
{
    public HttpStatusCode Status => status;

    /// <summary>Whether the same request can succeed a moment later.</summary>
    public bool IsTemporary => (int)status is 408 or 429 or 498 or (>= 500 and not 507);
}
