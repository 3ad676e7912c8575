using System.Net;

namespace Mirror.Upstream;

/// <summary>
/// Follows redirects, because registries redirect blobs to a CDN. A redirected request keeps its credentials only if the target has the
/// configured scheme, host and port. The handler never follows a redirect from https to http, and follows ten redirects at most.
/// </summary>
public sealed class RedirectHandler(UpstreamOrigin origin) : DelegatingHandler
{
    /// <summary>How many redirects are followed, as clients in Go do.</summary>
    public const int MaxRedirects = 10;

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        // The callers of this handler have the first request only, and learn from it which host gave no answer.
        var options = request.Options;
        options.Set(UpstreamRequest.SentTo, request.RequestUri!);
        var response = await base.SendAsync(request, cancellationToken);
        for (var redirects = 0; Target(response) is { } target; redirects++)
        {
            response.Dispose();
            if (redirects == MaxRedirects)
                throw new RedirectException($"more than {MaxRedirects} redirects");
            var scheme = request.RequestUri!.Scheme;
            if (target.Scheme != Uri.UriSchemeHttps && !(target.Scheme == Uri.UriSchemeHttp && scheme == Uri.UriSchemeHttp))
                throw new RedirectException($"a redirect from {scheme} to {target.Scheme} is not allowed");
            request = Next(request, target);
            options.Set(UpstreamRequest.SentTo, target);
            response = await base.SendAsync(request, cancellationToken);
        }
        return response;
    }

    /// <summary>Where an answer redirects to; null for another answer.</summary>
    public static Uri? Target(HttpResponseMessage response) =>
        response.StatusCode is HttpStatusCode.MovedPermanently or HttpStatusCode.Found or HttpStatusCode.SeeOther
            or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect
            && response.Headers.NonValidated.TryGetValues("Location", out var values) && values.FirstOrDefault() is { Length: > 0 } location
            ? UrlReference.Resolve(response.RequestMessage!.RequestUri!, location)
            : null;

    private HttpRequestMessage Next(HttpRequestMessage request, Uri target)
    {
        var next = new HttpRequestMessage(request.Method, target);
        var staysThere = origin.IsSameOrigin(request.RequestUri!) && origin.IsSameOrigin(target);
        foreach (var (name, values) in request.Headers.NonValidated)
            if (staysThere || !name.Equals("Authorization", StringComparison.OrdinalIgnoreCase) && name != LoopMark.Header)
                next.Headers.TryAddWithoutValidation(name, values);
        foreach (var (key, value) in request.Options)
            ((IDictionary<string, object?>)next.Options)[key] = value;
        return next;
    }
}

/// <summary>A redirect that the mirror does not follow.</summary>
public sealed class RedirectException(string message) : HttpRequestException(message);
