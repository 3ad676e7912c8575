using System.Text.Json;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Tls;

namespace Mirror.Access;

/// <summary>The owner of an identity token. Rules know it by its claims only: its issuer chooses the name.</summary>
internal sealed record OidcUser(TokenClaims Claims) : AccessUser(ClaimsOnlyPrefix + Claims.Sub)
{
    public override IEnumerable<string> ValuesOf(string claim) => Claims.ValuesOf(claim);
}

/// <summary>
/// <c>auth.oidc</c>, beside another way to log in: an identity token of an OpenID provider, as CI services give one to each job, is the
/// password of the user <see cref="UserName"/>. The provider's keys are found by its discovery document (OpenID Connect Discovery 1.0),
/// kept, and renewed. While they cannot be renewed, the last ones count.
/// </summary>
public sealed partial class OidcAccess : IAccess, IDisposable
{
    /// <summary>The user name of every job.</summary>
    public const string UserName = "oidc";

    private const int MaxDocument = 1 << 20;
    private const int MaxEntries = 10_000;
    // A token of an unknown key asks for the keys again, which a new key needs and a forged token must not do often.
    private static readonly TimeSpan RefreshInterval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan CacheTime = TimeSpan.FromMinutes(1);

    private readonly IAccess _others;
    private readonly OidcOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<OidcAccess> _log;
    private readonly HttpClient _http;
    private readonly ConfigurationManager<OpenIdConnectConfiguration> _provider;
    private readonly MemoryCache _verified = new(new MemoryCacheOptions { SizeLimit = MaxEntries });
    private long? _failedAt;

    /// <param name="others">How all other clients log in.</param>
    public OidcAccess(IAccess others, OidcOptions options, TimeProvider time, ILogger<OidcAccess> log)
    {
        (_others, _options, _time, _log) = (others, options, time, log);
        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }, disposeHandler: true)
        {
            Timeout = MaxWait,
            MaxResponseContentBufferSize = MaxDocument,
        };
        var issuer = new Uri(options.Issuer);
        _provider = new($"{options.Issuer.TrimEnd('/')}/.well-known/openid-configuration", new OpenIdConnectConfigurationRetriever(),
            new HttpDocumentRetriever(_http) { RequireHttps = !issuer.IsLoopback })
        {
            RefreshInterval = RefreshInterval,
        };
    }

    /// <summary>Whether no other client has to log in.</summary>
    public bool IsAlone => _others is OpenAccess;

    public async ValueTask<AccessUser?> AuthenticateAsync(HttpContext http, CancellationToken cancellationToken) =>
        BasicHeader.Read(http.Request.Headers.Authorization) is (UserName, var token)
            ? await ReadAsync(token, cancellationToken)
            : await _others.AuthenticateAsync(http, cancellationToken);

    public string? RefusedUser(string authorization) =>
        BasicHeader.Read(authorization) is (UserName, _) ? UserName : _others.RefusedUser(authorization);

    public ValueTask<bool> AuthorizeAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken) =>
        user is OidcUser ? new(true) : _others.AuthorizeAsync(user, repository, action, cancellationToken);

    public Refusal Refuse(in RefusedRequest request) => IsAlone
        ? new($"Basic realm={BearerChallenge.Quoted(UserName)}",
            $"an identity token of {_options.Issuer} is needed, as the password of the user {UserName}")
        : _others.Refuse(request);

    public void Dispose()
    {
        _http.Dispose();
        _verified.Dispose();
    }

    private async ValueTask<AccessUser?> ReadAsync(string token, CancellationToken cancellationToken)
    {
        // What is obviously not for us asks nothing of the provider.
        if (token.Length > TokenVerifier.MaxLength || !IsOfIssuer(token))
            return null;
        var entry = Base64UrlEncoder.Encode(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(token)));
        if (await KeysAsync(cancellationToken) is not { } keys)
            return null;
        if (_verified.TryGetValue(entry, out (OidcUser User, JsonWebKeySet Keys) known) && known.Keys == keys
            && VerifierOf(keys).IsInTime(known.User.Claims))
            return known.User;
        var claims = await VerifierOf(keys).ReadAsync(token);
        if (claims is null && KeyOf(keys, new JsonWebToken(token).Kid) is null)
        {
            _provider.RequestRefresh();
            keys = await KeysAsync(cancellationToken) ?? keys;
            claims = await VerifierOf(keys).ReadAsync(token);
        }
        if (claims is null)
            return null;
        var user = new OidcUser(claims);
        _verified.Set(entry, (user, keys), new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = CacheTime });
        return user;
    }

    private bool IsOfIssuer(string token)
    {
        try
        {
            return new JsonWebToken(token).Issuer == _options.Issuer;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private async ValueTask<JsonWebKeySet?> KeysAsync(CancellationToken cancellationToken)
    {
        if (_failedAt is { } at && _time.GetElapsedTime(at) < RetryInterval)
            return null;
        try
        {
            var found = await _provider.GetConfigurationAsync(cancellationToken);
            _failedAt = null;
            return found.JsonWebKeySet;
        }
        catch (Exception failure) when (failure is InvalidOperationException or IOException or ArgumentException)
        {
            _failedAt = _time.GetTimestamp();
            LogNoKeys(_options.Issuer, failure.GetBaseException().Message);
            return null;
        }
    }

    private TokenVerifier VerifierOf(JsonWebKeySet keys) => new(
        header => KeyOf(keys, header.TryGetProperty("kid", out var kid) && kid.ValueKind is JsonValueKind.String ? kid.GetString() : null),
        _options.Issuer, _options.Audience, TokenServerAccess.AllAlgorithms, _time);

    // Without a name in the token, the provider's only key.
    private static SecurityKey? KeyOf(JsonWebKeySet keys, string? name)
    {
        var all = keys.Keys.Where(key => key.Use is null or "" or "sig").ToList();
        var key = string.IsNullOrEmpty(name) ? all is [var only] ? only : null : all.Find(one => one.Kid == name);
        return key is null ? null : KeyNames.ToPublicKey(key) switch
        {
            System.Security.Cryptography.RSA rsa => new RsaSecurityKey(rsa),
            System.Security.Cryptography.ECDsa ec => new ECDsaSecurityKey(ec),
            _ => null,
        };
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "no identity token can be checked: the keys of {Issuer} (auth.oidc.issuer) cannot be read: {Reason}")]
    private partial void LogNoKeys(string issuer, string reason);
}
