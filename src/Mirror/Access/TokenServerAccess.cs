using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.IdentityModel.Tokens;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Tls;

namespace Mirror.Access;

/// <summary><c>auth.token</c>: a token server decides, and its tokens say what it decided.</summary>
public sealed class TokenServerAccess : IAccess, IDisposable
{
    // The algorithms of RFC 7518 that verify with a public key, and EdDSA (RFC 8037).
    internal static readonly string[] AllAlgorithms =
        ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", Ed25519Key.Algorithm];

    private static readonly TimeSpan CacheTime = TimeSpan.FromMinutes(1);
    private const int MaxEntries = 10_000;

    private readonly TokenOptions _options;
    private readonly TokenVerifier _verifier;
    private readonly MemoryCache _verified = new(new MemoryCacheOptions { SizeLimit = MaxEntries });

    /// <exception cref="IOException">A file of keys cannot be read, or holds no key.</exception>
    public TokenServerAccess(TokenOptions options, TimeProvider time)
    {
        _options = options;
        string[] algorithms = options.SigningAlgorithms is [] ? AllAlgorithms : [.. AllAlgorithms.Intersect(options.SigningAlgorithms)];
        _verifier = new(new TrustedKeys(options, time).Choose, options.Issuer, options.Service, algorithms, time);
    }

    public async ValueTask<AccessUser?> AuthenticateAsync(HttpContext http, CancellationToken cancellationToken)
    {
        if (BearerChallenge.TokenIn(http.Request.Headers.Authorization) is not { } token)
            return null;
        // A pull may have fifty requests, all with the same token.
        var entry = Base64UrlEncoder.Encode(SHA256.HashData(Encoding.UTF8.GetBytes(token)));
        if (!_verified.TryGetValue(entry, out TokenUser? user) || !_verifier.IsInTime(user!.Claims))
        {
            if (await _verifier.ReadAsync(token) is not { } claims)
                return null;
            var lifetime = new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = CacheTime };
            user = _verified.Set(entry, new TokenUser(claims, null), lifetime);
        }
        return ResourceAction.FromOf(http.Request) is { } from ? user with { From = from } : user;
    }

    public ValueTask<bool> AuthorizeAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken) =>
        new(user is TokenUser known && known.Allows(repository, action));

    public Refusal Refuse(in RefusedRequest request)
    {
        var asked = request.Http.Request;
        var needed = ResourceAction.NeededFor(request.Repository, request.Action, ResourceAction.FromOf(asked));
        var error = BearerChallenge.TokenIn(asked.Headers.Authorization) is null ? null
            : request.User is null ? "invalid_token"
            : "insufficient_scope";
        var challenge = BearerChallenge.Of(
            _options.AutoRedirect ? RealmOf(asked) : _options.Realm, _options.Service, ResourceAction.ScopeOf(needed), error);
        return new(challenge, BearerChallenge.Message, needed);
    }

    public void Dispose() => _verified.Dispose();

    // As registry:3: the scheme is https, unless a proxy says that the client's request had no TLS.
    private string RealmOf(HttpRequest request) =>
        $"{(request.Headers["X-Forwarded-Proto"] == "http" ? "http" : "https")}://{request.Host.Value}{_options.AutoRedirectPath}";
}
