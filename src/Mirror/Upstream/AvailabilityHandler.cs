using System.Net;
using Mirror.Telemetry;

namespace Mirror.Upstream;

/// <summary>
/// Tells <see cref="UpstreamState"/> whether the upstream and its token service answered. This handler is around the retries, so it sees
/// only the last outcome.
/// </summary>
public sealed class AvailabilityHandler(UpstreamOrigin origin, UpstreamState state) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var url = request.RequestUri!;
        // The answer of a CDN does not show whether the upstream works.
        var counts = origin.IsSameOrigin(url)
            || request.Options.TryGetValue(UpstreamRequest.Kind, out var kind) && kind is UpstreamKind.Token;
        try
        {
            var response = await base.SendAsync(request, cancellationToken);
            if (!counts || UpstreamAnswers.IsFailedHead(response))
                return response;
            // Whether a refused login counts is decided where it is sent.
            var isRefused = response.StatusCode == HttpStatusCode.Unauthorized && request.Headers.Authorization is { Scheme: "Basic" };
            // 501 refuses the method, and works.
            if ((int)response.StatusCode is >= 500 and not 501)
                state.Failed(
                    url, $"it answered {(int)response.StatusCode}",
                    response.StatusCode is HttpStatusCode.LoopDetected ? "mirrors ask each other in a circle: write another address in "
                        + "proxy.remoteurl of one of them" : null);
            else
                state.Answered(url, isUp: !isRefused);
            return response;
        }
        // A request that was cancelled without an answer does not show whether upstream works.
        catch (Exception failure) when (counts && !cancellationToken.IsCancellationRequested)
        {
            state.Failed(url, UpstreamRequest.Reason(failure), UpstreamRequest.AdviceFor(failure, url));
            throw;
        }
    }
}
