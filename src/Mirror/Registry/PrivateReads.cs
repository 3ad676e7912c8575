using Mirror.Access;
using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.Registry;

/// <summary>Checks for each request to a mirrored repository whether the client may read the repository (<c>proxy.private</c>).</summary>
/// <param name="logins">Reads the logins of clients; null if no upstream has <c>client</c>.</param>
/// <remarks>
/// A client has one login for this server. The login is for one upstream: for the one that is named before the user's name, as in
/// <c>ghcr.io/alice</c>, or for the only upstream that has <c>proxy.private: client</c>.
/// </remarks>
public sealed class PrivateReads(
    RepositoryResolver repositories, UpstreamSelector upstreams, Locations locations, ProxyOptions proxy, ClientLogins? logins = null)
{
    private readonly bool _mustNameUpstream = proxy.UpstreamsForClientLogins.Count > 1;

    /// <summary>Whether the mirror takes logins of clients and sends them to an upstream.</summary>
    public bool TakesLogins => logins is not null;

    /// <summary>Answers a client at <c>/v2/</c> with a challenge: docker learns only there how to log in.</summary>
    /// <exception cref="RegistryException">The challenge: the request has neither a login nor a valid token of the mirror.</exception>
    public async ValueTask RequireTokenAsync(RegistryRequest request)
    {
        if (logins is not null && request.User is not PrivilegedUser
            && !(await logins.ReadAsync(request.Http.Request, request.Aborted)).IsKnown)
            throw Challenge(request, null, null);
    }

    /// <summary>Requires that the client of a request may read a mirrored repository.</summary>
    /// <returns>The client whose login the mirror uses at upstream; null where it asks upstream as usual.</returns>
    /// <exception cref="RegistryException">The client may not read the repository.</exception>
    public async ValueTask<ActingClient?> RequireAsync(RegistryRequest request, MirroredRepository repository)
    {
        if (repository.Privates is not { } privates)
            return null;
        var (login, canAsk) = privates.Mode is PrivateImages.Client ? await LoginAsync(request, privates) : (null, false);
        Reference? manifest =
            request.Route.Kind is RouteKind.Manifest && Reference.TryParse(request.Route.Last, out var given) ? given : null;
        var (may, client) = await privates.AskAsync(repository.Name, manifest, login, request.Aborted);
        if (may)
            return client;
        throw canAsk
            ? Challenge(request, request.Route.Name, privates.Origin)
            : new RegistryException(
                RegistryError.Denied, $"{repository.Name} does not exist, or is private at its registry: this mirror does not serve it")
            {
                // Otherwise upstream refuses the client's login.
                Advice = privates.Mode is PrivateImages.Off
                    ? "if clients shall get private images, change 'private' of the upstream (proxy.private)"
                    : null,
            };
    }

    /// <summary>
    /// Whether a client may see the name of a repository. For a private upstream that needs an earlier answer of
    /// upstream: this method does not ask upstream.
    /// </summary>
    public async ValueTask<bool> MaySeeAsync(RegistryRequest request, RepositoryName name) =>
        repositories[name] is not MirroredRepository { Privates: { } privates }
        || privates.IsKnownToBeReadable(name, (await LoginAsync(request, privates)).Login);

    /// <summary>Whether <see cref="MayReadAsync"/> may ask upstream about a repository, and so take long.</summary>
    public bool AsksUpstream(RepositoryName name) => repositories[name] is MirroredRepository { Privates: not null };

    /// <summary>
    /// Whether a client may read a repository now. The mirror asks upstream, unless it did so within <c>proxy.private_ttl</c>. False if
    /// upstream does not answer. Call this before a mount: the mounted blob may be served without a limit of time, so an old answer is not
    /// enough.
    /// </summary>
    public async ValueTask<bool> MayReadAsync(RegistryRequest request, RepositoryName name)
    {
        if (repositories[name] is not MirroredRepository { Privates: { } privates })
            return true;
        try
        {
            return (await privates.AskAsync(name, null, (await LoginAsync(request, privates)).Login, request.Aborted)).May;
        }
        catch (UpstreamException)
        {
            return false;
        }
    }

    /// <summary>The answer to a client whose login upstream accepted before and refuses now.</summary>
    public RegistryException Refused(RegistryRequest request) => Challenge(
        request, request.Route.Name, request.Repository is MirroredRepository { Privates: { } privates } ? privates.Origin : null);

    // The login of the client for one upstream, and whether a challenge may ask the client for another one. If a proxy forwards the
    // request, a password in it may be the proxy's own. The mirror must not send that password to an upstream, so it counts as no login.
    private async ValueTask<(Credential? Login, bool CanAsk)> LoginAsync(RegistryRequest request, PrivateRepositories privates)
    {
        if (logins is null || request.User is PrivilegedUser)
            return (null, false);
        var (_, login) = await logins.ReadAsync(request.Http.Request, request.Aborted);
        var headers = request.Http.Request.Headers;
        if (BasicIn(headers) && TrustedProxies.IsPassedOn(headers))
            return (null, false);
        return (login is var (user, password) ? LoginAt(privates.Origin, user, password) : null, true);
    }

    // Null for a login that is for another upstream, or does not say for which one it is.
    private Credential? LoginAt(UpstreamOrigin origin, string user, string password)
    {
        if (user.IndexOf('/') is > 0 and var slash)
        {
            if (upstreams.Names.FindCalled(user[..slash]) is { } named)
                return named.Name == origin.Name ? new Credential(user[(slash + 1)..], password) : null;
            // The name of a registry that is not configured, or no longer: the password is not for this one.
            if (user.AsSpan(0, slash).Contains('.'))
                return null;
        }
        return _mustNameUpstream ? null : new Credential(user, password);
    }

    private static bool BasicIn(IHeaderDictionary headers) =>
        headers.Authorization is [{ } header, ..] && header.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase);

    private RegistryException Challenge(RegistryRequest request, string? repository, UpstreamOrigin? origin) => RegistryException.Of(
        new Refusal(
            ClientLogins.ChallengeOf(locations.PublicBase(request.Http.Request), repository),
            "a login of the image's own registry is needed"
                + (_mustNameUpstream ? $": log in to this mirror as {origin?.Name ?? "REGISTRY"}/USER" : "")));
}
