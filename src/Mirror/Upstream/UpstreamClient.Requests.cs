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
        var acting = ActingClient.For(origin, name);
        var key = new UpstreamRequestKey(acting?.Account ?? accounts.All[0], name, path);
        refusals.ThrowIfKnown(key);
        if (acting is not null)
            return await SendForAsync(acting, Request(acting.Account), kind, key, cancellationToken);
        var own = new RequestAccounts(
            origin, accounts, state, time, key, isPull: kind is UpstreamKind.Manifest && method == HttpMethod.Get);
        while (true)
        {
            HttpResponseMessage response;
            try
            {
                response = await UpstreamRequest.SendAsync(http, Request(own.Current), origin, cancellationToken);
            }
            catch (UpstreamException failure)
            {
                if (!own.GoOnAfter(failure))
                    throw;
                continue;
            }
            if (!own.GoOnAfter(response))
                return response;
        }

        HttpRequestMessage Request(Account account)
        {
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
            return request;
        }
    }

    // With the client's own login: there is no other account to try.
    private async Task<HttpResponseMessage> SendForAsync(
        ActingClient client, HttpRequestMessage request, UpstreamKind kind, UpstreamRequestKey key, CancellationToken cancellationToken)
    {
        HttpResponseMessage response;
        try
        {
            response = await UpstreamRequest.SendAsync(http, request, origin, cancellationToken);
        }
        catch (UpstreamException refused) when (ActingClient.IsRefusal(refused))
        {
            throw client.Refusal(kind, refused.Message);
        }
        catch (UpstreamDeniedException denied)
        {
            throw denied.For(key);
        }
        if (response.StatusCode is not (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
            || !origin.IsSameOrigin(response.RequestMessage!.RequestUri!))
            return response;
        response.Dispose();
        throw client.Refusal(kind, $"{origin.Authority} refuses the client's login access to {key.Name}.");
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
            (401 or 403, true) => UpstreamDeniedException.Of(key!, origin, accounts),
            (429, _) => new UpstreamLimitedException($"{Sender(response)} answered 429.", UpstreamRequest.RetryAfter(response, time)),
            var (status, _) => new UpstreamUnavailableException($"{Sender(response)} answered {status} to {name}/{what}."),
        };
    }

    // The upstream, or the host that it redirected to.
    private static string Sender(HttpResponseMessage response) => response.RequestMessage!.RequestUri!.Authority;
}
