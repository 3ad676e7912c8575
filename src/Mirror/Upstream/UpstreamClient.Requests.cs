using System.Net;
using System.Net.Http.Headers;
using Mirror.Storage;
using Mirror.Telemetry;
using static Mirror.Upstream.UpstreamAnswers;

namespace Mirror.Upstream;

// How a request is sent: with which account, and what an answer means that is not content.
public sealed partial class UpstreamClient
{
    private Uri Url(RepositoryName name, string what) => new(origin.BaseAddress, $"v2/{origin.RemoteName(name)}/{what}");

    private async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, UpstreamKind kind, RepositoryName name, string path, CancellationToken cancellationToken,
        RangeHeaderValue? range = null, Uri? page = null)
    {
        var isPull = kind is UpstreamKind.Manifest && method == HttpMethod.Get;
        var acting = ActingClient.For(origin, name);
        UpstreamDeniedException? denial = null, lastResort = null;
        List<Account>? tried = null;
        Account? other = null;
        var key = new UpstreamRequestKey(acting?.Account ?? accounts.All[0], name, path);
        refusals.ThrowIfKnown(key);
        while (true)
        {
            var account = acting?.Account ?? other ?? accounts.Choose(name, isPull, tried) ?? throw denial ?? lastResort!;
            other = null;
            var request = new HttpRequestMessage(method, page ?? Url(name, path));
            request.Options.Set(UpstreamRequest.Kind, kind);
            request.Options.Set(UpstreamRequest.Key, key);
            // The next page of a list may be on the host that upstream redirected to, which gets no credentials.
            if (origin.IsSameOrigin(request.RequestUri!))
            {
                LoopMark.AddTo(request, origin);
                request.Options.Set(UpstreamRequest.Account, account);
                request.Options.Set(UpstreamRequest.Scope, $"repository:{origin.RemoteName(name)}:pull");
            }
            request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
            request.Headers.Range = range;
            if (kind is UpstreamKind.Manifest)
                UpstreamRequest.AcceptEveryManifest(request.Headers);
            HttpResponseMessage response;
            try
            {
                response = await UpstreamRequest.SendAsync(http, request, origin.Authority, cancellationToken);
            }
            catch (UpstreamException refused) when (acting is not null && ActingClient.IsRefusal(refused))
            {
                throw acting.Refusal(kind, refused.Message);
            }
            catch (UpstreamDeniedException denied)
            {
                // The token service refused access to this repository. Several requests may have waited for one token and have got the same
                // exception, so throw one that names this request. If the login may be what it refused, try the other accounts first.
                denial ??= new UpstreamDeniedException(denied.Message, denied.HasAccount)
                {
                    RequestKey = denied.IsMissing ? null : key,
                    IsMissing = denied.IsMissing,
                    LoginAdvice = denied.LoginAdvice,
                };
                if (!TryOther(account) && !denied.MayBeOfLogin)
                    throw denial;
                continue;
            }
            catch (UpstreamUnavailableException failure) when (failure.IsLoginRefused)
            {
                var others = accounts.TryPauseRefused(account);
                state.LoginRefused(account, isLast: !others);
                if (others)
                    continue;
                throw;
            }
            catch (UpstreamLimitedException limited) when (acting is null && !limited.IsOfAnonymous)
            {
                // A limit of the token service holds for the account, as one for content does.
                state.Limited(account, accounts.Pause(account, limited.RetryAfter, pullsOnly: false, toldLimit: false));
                continue;
            }
            if (acting is not null)
            {
                var isRefused = response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden;
                if (!isRefused || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!))
                    return response;
                response.Dispose();
                throw acting.Refusal(kind, $"{origin.Authority} refuses the client's login access to {name}.");
            }
            if (accounts.HaveCredentials && GoesToAnother(account, response))
            {
                response.Dispose();
                continue;
            }
            if (response.StatusCode != HttpStatusCode.TooManyRequests || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!))
            {
                account.Answered();
                if (tried is not null && response.IsSuccessStatusCode)
                    accounts.Remember(name, account);
                if (!IsRefusal(response))
                    return response;
                // Accounts may have different rights. A 404 may hide what the account may not read.
                var isDenied = !IsMissing(response);
                if (!TryOther(account))
                {
                    if (isDenied || denial is null)
                        return response;
                    response.Dispose();
                    throw denial;
                }
                response.Dispose();
                lastResort ??= Denied(name, path, key);
                if (isDenied)
                    denial ??= lastResort;
                continue;
            }
            // Try another account. If all are paused, Choose throws.
            var toldLimit = response.Headers.Contains("ratelimit-remaining");
            using (response)
                state.Limited(account, accounts.Pause(account, UpstreamRequest.RetryAfter(response, time), isPull, toldLimit));
        }

        // Whether the request can be sent with another account of the mirror.
        bool TryOther(Account refused)
        {
            if (acting is not null)
                return false;
            (tried ??= []).Add(refused);
            return (other = accounts.Other(name, isPull, tried)) is not null;
        }
    }

    private bool IsRefusal(HttpResponseMessage response) =>
        (response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden || IsMissing(response))
        && origin.IsSameOrigin(response.RequestMessage!.RequestUri!);

    private UpstreamDeniedException Denied(RepositoryName name, string what, UpstreamRequestKey? key) => new(
        $"{origin.Authority} refuses this mirror access to {name}/{what}; check the account in section proxy.", accounts.HaveCredentials)
    {
        RequestKey = key,
    };

    // Notes whether upstream accepts the login. Returns whether upstream refuses it, and another account can take the request.
    private bool GoesToAnother(Account account, HttpResponseMessage response)
    {
        if (response.IsSuccessStatusCode)
            state.LoginWorked(account);
        // If upstream has a token service, the service has accepted or refused the login already. Without one, the registry's own answer
        // shows whether the login is correct.
        if (response.StatusCode != HttpStatusCode.Unauthorized
            || response.RequestMessage is not { Headers.Authorization.Scheme: "Basic" } request
            || !origin.IsSameOrigin(request.RequestUri!))
            return false;
        if (!request.Options.TryGetValue(UpstreamRequest.IsLoginRefused, out var isRefused) || !isRefused)
            return false;
        var others = accounts.TryPauseRefused(account);
        state.LoginRefused(account, isLast: !others);
        return others;
    }

    private async Task RequireAsync(HttpResponseMessage response, RepositoryName name, string what, CancellationToken cancellationToken)
    {
        if (response.IsSuccessStatusCode)
            return;
        response.RequestMessage!.Options.TryGetValue(UpstreamRequest.Key, out var key);
        // For a manifest or a list, the 404 of another host counts as upstream's, because registries redirect these to registries. For a
        // blob it counts if it has an error body of a registry or a store.
        var isOwn = origin.IsSameOrigin(response.RequestMessage.RequestUri!);
        var isMissing = IsMissing(response);
        if (isMissing && !isOwn && what.StartsWith("blobs/", StringComparison.Ordinal))
            isMissing = IsRegistryError(await UpstreamRequest.ReadStartAsync(response, MaxErrorStart, origin, cancellationToken));
        else if (isMissing)
            await check.RequireRegistryAsync(response, cancellationToken);
        if (isOwn && RefusesContent(response))
            throw new UpstreamDeniedException(
                $"{origin.Authority} refuses {name}/{what} ({(int)response.StatusCode}): " + (ErrorMessage(
                    await UpstreamRequest.ReadStartAsync(response, MaxErrorBody, origin, cancellationToken)) ?? "it does not say why"),
                accounts.HaveCredentials)
            {
                RequestKey = key,
                IsOfContent = true,
            };
        if (!isMissing && isOwn && (int)response.StatusCode is < 500 and not (401 or 403 or 408 or 429))
            await check.SuspectAsync(cancellationToken);
        throw ((int)response.StatusCode, isOwn) switch
        {
            _ when isMissing => new UpstreamMissingException($"{origin.Authority} has no {name}/{what}.") { RequestKey = key },
            (401 or 403, true) => Denied(name, what, key),
            (429, _) => new UpstreamLimitedException($"{Sender(response)} answered 429.", UpstreamRequest.RetryAfter(response, time)),
            var (status, _) => new UpstreamUnavailableException($"{Sender(response)} answered {status} to {name}/{what}."),
        };
    }

    // The upstream, or the host that it redirected to.
    private static string Sender(HttpResponseMessage response) => response.RequestMessage!.RequestUri!.Authority;
}
