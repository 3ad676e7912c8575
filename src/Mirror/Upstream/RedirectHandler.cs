using System.Net;

namespace Mirror.Upstream;

/// <summary>
/// Follows redirects, which registries use to hand blobs to a CDN. Credentials stay with the configured origin, https never becomes http,
/// and a chain has an end.
/// </summary>
public sealed class RedirectHandler(UpstreamOrigin origin) : DelegatingHandler
{
    private const int MaxRedirects = 5;

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        for (var redirects = 0; Target(response) is { } target; redirects++)
        {
            response.Dispose();
            if (redirects == MaxRedirects)
                throw new HttpRequestException($"More than {MaxRedirects} redirects.");
            if (target.Scheme != Uri.UriSchemeHttps && !(target.Scheme == Uri.UriSchemeHttp && request.RequestUri!.Scheme == Uri.UriSchemeHttp))
                throw new HttpRequestException($"A redirect from {request.RequestUri!.Scheme} to {target.Scheme} is not followed.");
            request = Next(request, target);
            response = await base.SendAsync(request, cancellationToken);
        }
        return response;
    }

    private static Uri? Target(HttpResponseMessage response) =>
        response.StatusCode is HttpStatusCode.MovedPermanently or HttpStatusCode.Found or HttpStatusCode.SeeOther
            or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect && response.Headers.Location is { } location
            ? new Uri(response.RequestMessage!.RequestUri!, location)
            : null;

    private HttpRequestMessage Next(HttpRequestMessage request, Uri target)
    {
        var next = new HttpRequestMessage(request.Method, target);
        foreach (var (name, values) in request.Headers.NonValidated)
            if (origin.IsSameOrigin(target) || !name.Equals("Authorization", StringComparison.OrdinalIgnoreCase))
                next.Headers.TryAddWithoutValidation(name, values);
        foreach (var (key, value) in request.Options)
            ((IDictionary<string, object?>)next.Options)[key] = value;
        return next;
    }
}
