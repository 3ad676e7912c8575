using Mirror.Access;
using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.Registry;

/// <summary>Asks, for each request to a mirrored repository, whether its client may read it at upstream (<c>proxy.private</c>).</summary>
/// <param name="logins">Null where no upstream is asked with the logins of clients.</param>
public sealed class PrivateReads(RepositoryResolver repositories, Locations locations, ClientLogins? logins = null)
{
    /// <summary>Whether clients may log in at an upstream.</summary>
    public bool TakesLogins => logins is not null;

    /// <summary>Asks a client at <c>/v2/</c> for a login: docker learns only there how to log in.</summary>
    /// <exception cref="RegistryException">The client has not asked for a token yet.</exception>
    public async ValueTask RequireTokenAsync(RegistryRequest request)
    {
        if (logins is not null && request.User is not PrivilegedUser
            && !(await logins.ReadAsync(request.Http.Request, request.Aborted)).IsKnown)
            throw Challenge(request, null);
    }

    /// <summary>Lets a request to a mirrored repository go on.</summary>
    /// <returns>The client as which upstream is asked; null where the mirror asks as usual.</returns>
    /// <exception cref="RegistryException">The client may not read the repository.</exception>
    public async ValueTask<ActingClient?> RequireAsync(RegistryRequest request, MirroredRepository repository)
    {
        if (repository.Privates is not { } privates)
            return null;
        var (login, canAsk) = privates.Mode is PrivateImages.Client ? await LoginAsync(request) : (null, false);
        Reference? manifest =
            request.Route.Kind is RouteKind.Manifest && Reference.TryParse(request.Route.Last, out var given) ? given : null;
        var (may, client) = await privates.AskAsync(repository.Name, manifest, login, request.Aborted);
        if (may)
            return client;
        throw canAsk
            ? Challenge(request, request.Route.Name)
            : new RegistryException(
                RegistryError.Denied, $"{repository.Name} does not exist, or is private at its registry: this mirror does not serve it");
    }

    /// <summary>Whether a client may see the name of a repository, or mount its blobs: if it may read it as far as is known.</summary>
    public async ValueTask<bool> MaySeeAsync(RegistryRequest request, RepositoryName name) =>
        repositories[name] is not MirroredRepository { Privates: { } privates }
        || privates.IsKnownToBeReadable(name, (await LoginAsync(request)).Login);

    /// <summary>What to answer where upstream refuses a login that it accepted before.</summary>
    public RegistryException Refused(RegistryRequest request) => Challenge(request, request.Route.Name);

    // The login, and whether a challenge may ask for another one. What a proxy passes on unasked is the login of that proxy: it is not ours
    // to send anywhere.
    private async ValueTask<(Credential? Login, bool CanAsk)> LoginAsync(RegistryRequest request)
    {
        if (logins is null || request.User is PrivilegedUser)
            return (null, false);
        var (_, login) = await logins.ReadAsync(request.Http.Request, request.Aborted);
        var headers = request.Http.Request.Headers;
        if (BasicIn(headers) && TrustedProxies.IsPassedOn(headers))
            return (null, false);
        return (login is var (user, password) ? new Credential(user, password) : null, true);
    }

    private static bool BasicIn(IHeaderDictionary headers) =>
        headers.Authorization is [{ } header, ..] && header.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase);

    private RegistryException Challenge(RegistryRequest request, string? repository) => RegistryException.Of(new Refusal(
        ClientLogins.ChallengeOf(locations.PublicBase(request.Http.Request), repository), "a login of the image's own registry is needed"));
}
