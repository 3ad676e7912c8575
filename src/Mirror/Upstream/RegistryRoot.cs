using System.Net;
using System.Net.Http.Headers;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>What the <c>/v2/</c> of one registry says about logins. Its answer counts for a minute.</summary>
/// <param name="send">Sends a request as it is, without a challenge being answered.</param>
internal sealed class RegistryRoot(
    UpstreamOrigin origin, Func<HttpRequestMessage, CancellationToken, Task<HttpResponseMessage>> send, TimeProvider time)
{
    private static readonly TimeSpan Memory = TimeSpan.FromMinutes(1);

    // How long to wait after a 429 of "/v2/" without Retry-After.
    private static readonly TimeSpan DefaultPause = TimeSpan.FromSeconds(1);

    private readonly SingleFlight<string, RootAnswer?> _requests = new();
    private volatile RootAnswer? _last;
    private volatile Limit? _limit;

    /// <summary>What it answers to a request without a login; null if its answer does not tell. Such an answer, and a 404, are not
    /// remembered.</summary>
    /// <exception cref="UpstreamException">It answered 429 or 5xx.</exception>
    public async Task<RootAnswer?> AskAsync(CancellationToken cancellationToken) =>
        _last is { } last && time.GetElapsedTime(last.At) < Memory ? last
            : (await _requests.JoinOrStart("v2/", SendAsync, cancellationToken)).Result;

    /// <summary>Whether it shows that the registry wants no login.</summary>
    public async Task<bool> IsOpenAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await AskAsync(cancellationToken) is { Challenge: null, IsMissing: false };
        }
        catch (Exception failure) when (failure is UpstreamException || UpstreamRequest.IsNoAnswer(failure))
        {
            return false;
        }
    }

    /// <summary>Whether it refuses a login; null if its answer does not tell.</summary>
    public async Task<bool?> RefusesAsync(AuthenticationHeaderValue login, CancellationToken cancellationToken)
    {
        using var request = Request();
        request.Headers.Authorization = login;
        using var response = await send(request, cancellationToken);
        return !origin.IsSameOrigin(response.RequestMessage!.RequestUri!) ? null
            : response.StatusCode == HttpStatusCode.Unauthorized ? true : response.IsSuccessStatusCode ? false : null;
    }

    private HttpRequestMessage Request() => new(HttpMethod.Get, new Uri(origin.BaseAddress, "v2/"))
    {
        Headers = { UserAgent = { UpstreamRequest.Agent } },
    };

    private async Task<RootAnswer?> SendAsync(CancellationToken cancellationToken)
    {
        if (_limit is { } limit && limit.Pause - time.GetElapsedTime(limit.At) is var left && left > TimeSpan.Zero)
            throw Limited(left);
        using var request = Request();
        using var response = await send(request, cancellationToken);
        if (!origin.IsSameOrigin(response.RequestMessage!.RequestUri!))
            return null;
        if (response.StatusCode == HttpStatusCode.TooManyRequests)
        {
            var pause = UpstreamRequest.RetryAfter(response, time) ?? DefaultPause;
            _limit = new(pause < Memory ? pause : Memory, time.GetTimestamp());
            throw Limited(_limit.Pause);
        }
        if (response.StatusCode >= HttpStatusCode.InternalServerError)
            throw new UpstreamUnavailableException($"{origin.Authority} answered {(int)response.StatusCode} to /v2/.");
        var challenge = response.StatusCode == HttpStatusCode.Unauthorized ? Challenge.From(response) : null;
        var isOpen = response.IsSuccessStatusCode && !UpstreamAnswers.IsWebPage(response);
        if (challenge is not null || isOpen)
            return _last = new(challenge, IsMissing: false, time.GetTimestamp());
        return UpstreamAnswers.IsMissing(response) ? new(null, IsMissing: true, time.GetTimestamp()) : null;
    }

    // No account pauses after this 429: the request had no login.
    private UpstreamLimitedException Limited(TimeSpan pause) =>
        new($"{origin.Authority} answered 429 to /v2/.", pause) { IsOfAnonymous = true };

    // That "/v2/" answered 429.
    private sealed record Limit(TimeSpan Pause, long At);
}

/// <param name="Challenge">The challenge of <c>/v2/</c>; null if it needs no login, or is missing.</param>
/// <param name="IsMissing">Whether it answered 404.</param>
internal sealed record RootAnswer(Challenge? Challenge, bool IsMissing, long At);
