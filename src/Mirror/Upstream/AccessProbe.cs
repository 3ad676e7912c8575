using System.Net;
using Mirror.Storage;
using Mirror.Telemetry;
using static Mirror.Upstream.UpstreamAnswers;

namespace Mirror.Upstream;

/// <summary>Asks an upstream whether an account may read a repository, by one cheap request that does not count as a pull.</summary>
public sealed class AccessProbe(UpstreamOrigin origin, HttpClient http, RegistryCheck check, TimeProvider time)
{
    /// <summary>Whether upstream lets the account read the repository.</summary>
    /// <param name="manifest">The manifest to ask for; null asks for the list of tags.</param>
    /// <returns>False if upstream refuses, and also if it says that there is no such repository: some registries say so of a repository
    /// that the login may not read.</returns>
    /// <exception cref="UpstreamException">Upstream gave no answer.</exception>
    public async Task<bool> IsReadableAsync(
        RepositoryName name, Reference? manifest, Account account, CancellationToken cancellationToken)
    {
        try
        {
            return manifest is { } reference && await HasManifestAsync(name, reference, account, cancellationToken) is { } known
                ? known
                : await ListsTagsAsync(name, account, cancellationToken);
        }
        // The token service refuses the login, or the repository to this login; or it is a 404 to a request without the login.
        catch (UpstreamException refused) when (refused is UpstreamDeniedException || ActingClient.IsRefusal(refused))
        {
            return false;
        }
    }

    // Null if the answer does not show whether the account may read: the manifest may be deleted, and some registries do not answer HEAD.
    private async Task<bool?> HasManifestAsync(
        RepositoryName name, Reference reference, Account account, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(
            HttpMethod.Head, UpstreamKind.Manifest, name, $"manifests/{reference}", account, cancellationToken);
        return response.IsSuccessStatusCode && IsManifestType(TypeOf(response)) ? true : IsRefusal(response) ? false : null;
    }

    private async Task<bool> ListsTagsAsync(RepositoryName name, Account account, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Get, UpstreamKind.Tags, name, "tags/list?n=1", account, cancellationToken);
        if (IsRefusal(response))
            return false;
        if (IsMissing(response))
        {
            await check.RequireRegistryAsync(response, cancellationToken);
            return false;
        }
        if (!response.IsSuccessStatusCode)
            throw new UpstreamUnavailableException(
                $"{origin.Authority} answered {(int)response.StatusCode} when asked who may read {name}.");
        // A page of a proxy or of a captive portal says nothing of the repository.
        _ = await UpstreamRequest.ReadJsonAsync(response, UpstreamJson.Default.TagsBody, origin, cancellationToken);
        return true;
    }

    private async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, UpstreamKind kind, RepositoryName name, string path, Account account, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, new Uri(origin.BaseAddress, $"v2/{origin.RemoteName(name)}/{path}"));
        LoopMark.AddTo(request, origin);
        request.Options.Set(UpstreamRequest.Kind, kind);
        request.Options.Set(UpstreamRequest.Account, account);
        request.Options.Set(UpstreamRequest.Scope, $"repository:{origin.RemoteName(name)}:pull");
        if (kind is UpstreamKind.Manifest)
            UpstreamRequest.AcceptEveryManifest(request.Headers);
        var response = await UpstreamRequest.SendAsync(http, request, origin, cancellationToken);
        if (response.StatusCode != HttpStatusCode.TooManyRequests)
            return response;
        using (response)
            throw new UpstreamLimitedException($"{origin.Authority} answered 429.", UpstreamRequest.RetryAfter(response, time));
    }

    private bool IsRefusal(HttpResponseMessage response) =>
        response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden
        && origin.IsSameOrigin(response.RequestMessage!.RequestUri!);
}
