using Mirror.Access;
using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.Registry;

/// <summary>Every route of the registry, in one table: path and method, what the client must be allowed to do, and the answer.</summary>
public sealed class RegistryRoutes
{
    private static readonly byte[] EmptyObject = "{}"u8.ToArray();

    private readonly RepositoryResolver _repositories;
    private readonly IAccess _access;
    private readonly Locations _locations;
    private readonly TokenRoute _tokens;
    private readonly BlobRoute _blobs;
    private readonly V1Route _v1;
    private readonly PrivateReads _privates;
    private readonly Dictionary<(RouteKind Kind, string Method), (AccessAction Action, Func<RegistryRequest, Task> Answer)> _table;
    // The answers of the methods that the settings turn off.
    private readonly HashSet<Func<RegistryRequest, Task>> _turnedOff = [];

    public RegistryRoutes(
        BlobRoute blobs, ManifestRoute manifests, TagsRoute tags, ReferrersRoute referrers, CatalogRoute catalog, UploadRoute uploads,
        UploadForwarding forwarding, TokenRoute tokens, V1Route v1, RepositoryResolver repositories, IAccess access, Locations locations,
        PrivateReads privates, MirrorOptions options)
    {
        (_repositories, _access, _locations, _tokens, _blobs) = (repositories, access, locations, tokens, blobs);
        (_v1, _privates) = (v1, privates);
        _table = new()
        {
            [(RouteKind.Base, "GET")] = (AccessAction.Pull, static request => JsonBody.WriteAsync(request, EmptyObject)),
            [(RouteKind.Catalog, "GET")] = (AccessAction.List, catalog.GetAsync),
            [(RouteKind.Tags, "GET")] = (AccessAction.Pull, tags.GetAsync),
            [(RouteKind.Referrers, "GET")] = (AccessAction.Pull, referrers.GetAsync),
            [(RouteKind.Manifest, "GET")] = (AccessAction.Pull, manifests.GetAsync),
            [(RouteKind.Manifest, "HEAD")] = (AccessAction.Pull, manifests.HeadAsync),
            [(RouteKind.Manifest, "PUT")] = (AccessAction.Push, Writing(manifests.PutAsync)),
            [(RouteKind.Manifest, "DELETE")] = (AccessAction.Delete, Deleting(manifests.DeleteAsync)),
            [(RouteKind.Blob, "GET")] = (AccessAction.Pull, blobs.GetAsync),
            [(RouteKind.Blob, "HEAD")] = (AccessAction.Pull, blobs.HeadAsync),
            [(RouteKind.Blob, "DELETE")] = (AccessAction.Delete, Deleting(blobs.DeleteAsync)),
            [(RouteKind.BlobUpload, "POST")] = (AccessAction.Push, Writing(uploads.StartAsync)),
            [(RouteKind.BlobUploadChunk, "GET")] = (AccessAction.Push, forwarding.Around(uploads.StatusAsync)),
            [(RouteKind.BlobUploadChunk, "PATCH")] = (AccessAction.Push, Writing(forwarding.Around(uploads.PatchAsync))),
            [(RouteKind.BlobUploadChunk, "PUT")] = (AccessAction.Push, Writing(forwarding.Around(uploads.PutAsync))),
            [(RouteKind.BlobUploadChunk, "DELETE")] = (AccessAction.Push, Writing(forwarding.Around(uploads.CancelAsync))),
        };

        Func<RegistryRequest, Task> Writing(Func<RegistryRequest, Task> answer) =>
            options.Storage.Maintenance.ReadOnly.Enabled ? Unsupported(
                "the registry is read-only because of storage.maintenance.readonly.enabled",
                "to allow writes, set storage.maintenance.readonly.enabled to false")
            : options.TakesWrites ? answer
            : Unsupported(
                "this mirror takes no pushes and no deletes: that needs section auth, access.rules, or patterns in hosted.repositories",
                "to allow pushes, set auth.htpasswd, auth.token or access.rules, or name the repositories for pushes in "
                + "hosted.repositories");

        Func<RegistryRequest, Task> Deleting(Func<RegistryRequest, Task> answer) => Writing(options.Storage.Delete.Enabled
            ? answer
            : Unsupported("deletes need storage.delete.enabled", "to allow deletes, set storage.delete.enabled to true"));

        Func<RegistryRequest, Task> Unsupported(string why, string advice)
        {
            Func<RegistryRequest, Task> refuse = request => throw NotAllowed(request.Route, why, advice);
            _turnedOff.Add(refuse);
            return refuse;
        }
    }

    /// <summary>Answers OPTIONS with the methods that the route has (RFC 9110, 9.3.7). It needs no right.</summary>
    public void AnswerOptions(RegistryRequest request)
    {
        request.Http.Response.StatusCode = StatusCodes.Status204NoContent;
        request.Http.Response.Headers.Allow = MethodsOf(request.Route);
    }

    /// <summary>Answers a request, if the client may make it.</summary>
    /// <exception cref="RegistryException">The error of the protocol to answer with.</exception>
    public async Task AnswerAsync(RegistryRequest request)
    {
        var (kind, method) = (request.Route.Kind, request.Http.Request.Method);
        if (kind is RouteKind.Token && method == "GET")
        {
            await _tokens.GetAsync(request);
            return;
        }
        if (kind is RouteKind.V1)
        {
            await _v1.AnswerAsync(request);
            return;
        }
        if (kind is RouteKind.Other)
        {
            // Load balancers ask for "/", HAProxy by OPTIONS. As in registry:2, every method is right.
            if (!request.IsOfServer)
                throw new RegistryException(RegistryError.NotFound);
            if (request.IsHead || method == "GET")
                await _v1.AnswerRootAsync(request);
            return;
        }
        // The route itself refuses a name that breaks the grammar, so that a client without a login gets 401 for every name.
        RepositoryName? repository = null;
        if (request.HasName(out var name) && _repositories.Find(request.Namespace, name) is { } meant)
            repository = (request.Repository = meant).Name;

        // The other replica has authenticated its client and checked the client's rights.
        if (request.IsFromReplica && kind is RouteKind.Blob && method == "GET")
        {
            await _blobs.GetForReplicaAsync(request);
            return;
        }
        // HEAD uses the row of GET, unless it has its own row.
        var found = _table.TryGetValue((kind, method), out var row) || request.IsHead && _table.TryGetValue((kind, "GET"), out row);
        var (action, answer) = found
            ? row
            : (AccessAction.Pull, request => throw NotAllowed(request.Route));
        if (!await _access.AuthorizeAsync(request.User, repository, action, request.Aborted))
            throw RegistryException.Of(_access.Refuse(
                new(request.Http, request.User, repository, action, _locations.PublicBase(request.Http.Request))));
        if (action is AccessAction.Pull && repository is not null && request.Repository is MirroredRepository { Denied: { } why })
            throw new RegistryException(RegistryError.Denied, why) { Advice = $"an entry of proxy.policies denies {repository}" };
        if (kind is RouteKind.Base)
            await _privates.RequireTokenAsync(request);
        if (repository is not null && request.Repository is MirroredRepository { Privates: not null } guarded)
        {
            await AnswerGuardedAsync(request, guarded, answer);
            return;
        }
        await answer(request);
    }

    /// <summary>Deletes a tag for a client that looks at a page, as a DELETE of the registry does.</summary>
    /// <param name="page">The request of the browser.</param>
    /// <param name="mayDelete">Whether the client needs no right to delete, because it holds the token of the administrator.</param>
    /// <exception cref="RegistryException">The settings allow no deletes, the client may not delete, or there is no such tag.</exception>
    public async Task DeleteTagAsync(RegistryRequest page, RepositoryName name, string tag, bool mayDelete)
    {
        var (action, answer) = _table[(RouteKind.Manifest, "DELETE")];
        if (!mayDelete && !await _access.AuthorizeAsync(page.User, name, action, page.Aborted))
            throw new RegistryException(
                RegistryError.Denied, $"this user may not delete from {name}: access.rules, or the token server, decides who may")
            {
                Advice = AccessByRules.Advice,
            };
        await answer(new RegistryRequest(page.Http, new RegistryRoute(RouteKind.Manifest, name.ToString(), tag), isFromReplica: false)
        {
            User = page.User,
            Repository = _repositories[name],
        });
    }

    // The header Allow: the methods of the route that the settings do not turn off.
    private string MethodsOf(RegistryRoute route)
    {
        HashSet<string> methods = route.Kind switch
        {
            RouteKind.Token => _tokens.IsUsed ? ["GET"] : [],
            RouteKind.V1 => [.. V1Route.MethodsOf(route.Last)],
            _ => [.. from row in _table where row.Key.Kind == route.Kind && !_turnedOff.Contains(row.Value.Answer) select row.Key.Method],
        };
        if (_table.ContainsKey((route.Kind, "GET")))
            methods.Add("HEAD");
        return string.Join(", ", methods.Append("OPTIONS"));
    }

    // An answer 405 has to name the methods that the route has (RFC 9110, 15.5.6).
    private RegistryException NotAllowed(RegistryRoute route, string? why = null, string? advice = null) =>
        new(RegistryError.Unsupported, why) { Advice = advice, Headers = [("Allow", MethodsOf(route))] };

    private async Task AnswerGuardedAsync(RegistryRequest request, MirroredRepository repository, Func<RegistryRequest, Task> answer)
    {
        ActingClient.Current = await _privates.RequireAsync(request, repository);
        try
        {
            await answer(request);
        }
        catch (ClientRefusedException)
        {
            throw _privates.Refused(request);
        }
    }
}
