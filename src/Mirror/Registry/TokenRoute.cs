using System.Globalization;
using Mirror.Access;
using Mirror.PullThrough;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary><c>/auth/token</c>: tokens for clients that our own challenge sent here (Docker's "Token Authentication
/// Specification").</summary>
/// <param name="service">Null where no client is sent here for rights.</param>
/// <param name="logins">Null where no client is sent here for a login at an upstream.</param>
public sealed class TokenRoute(
    RepositoryResolver repositories, Locations locations, TimeProvider time, TokenService? service = null, ClientLogins? logins = null,
    PrivilegedKey? privileged = null)
{
    /// <summary>Whether there are such tokens.</summary>
    public bool IsUsed => logins is not null || service is not null;

    /// <summary>Answers with a token.</summary>
    /// <exception cref="RegistryException">The login is wrong, or there are no such tokens.</exception>
    public async Task GetAsync(RegistryRequest request)
    {
        var http = request.Http;
        if (logins is not null)
        {
            if (privileged is not null && await privileged.UserOfAsync(http.Request) is PrivilegedUser owner)
            {
                await WriteAsync(request, owner.Token);
                return;
            }
            // Upstream says at the first pull whether the login is correct.
            var login = BasicHeader.Read(http.Request.Headers.Authorization);
            await WriteAsync(request, await logins.IssueAsync(login, request.Aborted));
            return;
        }
        if (service is null)
            throw new RegistryException(RegistryError.NotFound);
        var (allowed, user) = await service.AuthenticateAsync(http, request.Aborted);
        if (!allowed)
        {
            if (http.Request.Headers.Authorization is [{ } authorization, ..])
                request.RefusedUser = service.RefusedUser(authorization);
            throw RegistryException.Of(service.Refuse(new(http, null, null, AccessAction.Pull, locations.PublicBase(http.Request))));
        }
        request.User = user;
        var scopes = http.Request.Query["scope"].SelectMany(scope => scope?.Split(' ') ?? []);
        await WriteAsync(request, await service.IssueAsync(user, scopes, Stored, request.Aborted));
    }

    private async Task WriteAsync(RegistryRequest request, string token)
    {
        request.Http.Response.Headers.CacheControl = "no-store";
        var issued = time.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
        await JsonBody.WriteAsync(request, new TokenAnswer(token, token, OwnTokens.ToldLifetime, issued), RegistryJson.Default.TokenAnswer);
    }

    private RepositoryName? Stored(string name) =>
        RepositoryName.TryParse(name, out var parsed) ? repositories.Find(null, parsed)?.Name : null;
}
