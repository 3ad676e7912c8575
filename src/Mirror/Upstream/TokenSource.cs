using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Upstream;

/// <summary>
/// The bearer tokens of one upstream, one for each account and scope (Docker's "Token Authentication Specification"). All requests share a
/// token. It is renewed before it expires, and requests that wait for the same token share one token request.
/// </summary>
public sealed partial class TokenSource(
    UpstreamOrigin origin, HttpClient http, FleetCache shared, TimeProvider time, ILogger<TokenSource> log)
{
    private static readonly TimeSpan DefaultLifetime = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan MaxLifetime = TimeSpan.FromHours(12);
    // A limit, because clients choose the repositories, and so the number of scopes.
    private const int MaxTokens = 10_000;
    private const string Kind = "token";
    // For this time after a token was issued, GetAsync does not replace it if upstream has never accepted it, unless the challenge
    // changed. ReplaceNewAsync replaces it once: upstream would refuse a third one as well.
    private static readonly TimeSpan RefusedLife = TimeSpan.FromSeconds(30);
    // After a 403 or 400, how long to wait before the next new token, if the last one got the same answer. The wait doubles each time.
    private static readonly TimeSpan FirstDenialPause = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan MaxDenialPause = TimeSpan.FromHours(1);
    // How long a registry may take to know a token that its token service has just issued: services replicate late, and clocks differ.
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(1);

    /// <summary>What the operator can do if the login may not go to the token service.</summary>
    internal const string WithheldAdvice =
        "if the repository is private, add the host of its token service to proxy.token_realms; if upstream names this service with an "
        + "http:// address, let it name an https:// address (many registries need the header X-Forwarded-Proto for this)";

    // A token is renewed after this part of its lifetime.
    private const double RenewalShare = 0.75;

    private readonly ConcurrentDictionary<(Account, string), Token> _tokens = new();
    private readonly SingleFlight<(Account, string), Token> _requests = new();
    private readonly LoginChecks _logins = new(time);

    /// <summary>A token that does not expire soon.</summary>
    /// <param name="scope">Such as <c>repository:library/nginx:pull</c>.</param>
    /// <param name="refused">The token that the registry refused; null if it refused none. The token is replaced if it is not new, if it
    /// was accepted before, or if the challenge changed.</param>
    /// <exception cref="UpstreamUnavailableException">The token service cannot be reached, or refuses the credentials.</exception>
    /// <exception cref="UpstreamDeniedException">The token service refuses the repository, or may do so.</exception>
    /// <exception cref="UpstreamLimitedException">The token service answered 429.</exception>
    internal async ValueTask<Token> GetAsync(
        Challenge challenge, Account account, string scope, string? refused, CancellationToken cancellationToken)
    {
        if (_tokens.TryGetValue((account, scope), out var token) && time.GetElapsedTime(token.At) < token.Life
            && (token.Value != refused
                || !token.WasAccepted && token.Challenge == challenge && time.GetElapsedTime(token.At) < RefusedLife))
            return token;
        var requested = _requests.JoinOrStart(
            (account, scope), stop => RequestAsync(challenge, account, scope, refused, stop), cancellationToken);
        return (await requested).Result;
    }

    /// <summary>Requests one more token after the registry refused one that it never accepted. Null if the refused token was already such a
    /// replacement.</summary>
    /// <inheritdoc cref="GetAsync"/>
    internal async ValueTask<Token?> ReplaceNewAsync(
        Challenge challenge, Account account, string scope, string refused, CancellationToken cancellationToken)
    {
        if (_tokens.TryGetValue((account, scope), out var token) && token.Value == refused && token.ReplacesUnaccepted)
            return null;
        // Another request may have brought the second one meanwhile.
        if (token is not null && token.Value != refused && time.GetElapsedTime(token.At) < token.Life)
            return token;
        var requested = _requests.JoinOrStart(
            (account, scope), stop => RequestAsync(challenge, account, scope, refused, stop), cancellationToken);
        return (await requested).Result;
    }

    /// <summary>
    /// A token in place of one that the registry refused without saying where to get another. Null if another would be refused as well: the
    /// refused one is new and was never accepted; or the registry answered 403 or 400, and lately it gave a new token the same answer.
    /// </summary>
    /// <param name="isDenied">Whether the registry answered 403 or 400. Most such answers are not about the token, so they are not worth a
    /// new token each time.</param>
    /// <inheritdoc cref="GetAsync"/>
    internal async ValueTask<Token?> RenewAsync(
        Challenge challenge, Account account, string scope, string refused, bool isDenied, CancellationToken cancellationToken)
    {
        if (_tokens.TryGetValue((account, scope), out var token))
        {
            // Another request may have renewed it meanwhile.
            if (token.Value != refused && time.GetElapsedTime(token.At) < token.Life)
                return token;
            if (!token.WasAccepted && time.GetElapsedTime(token.At) < RefusedLife || isDenied && IsPaused(token.Denial))
                return null;
        }
        var requested = _requests.JoinOrStart(
            (account, scope), stop => RequestAsync(challenge, account, scope, refused, stop), cancellationToken);
        try
        {
            return (await requested).Result;
        }
        catch (UpstreamException) when (isDenied && token is not null)
        {
            Renewed(token, isDenied);
            throw;
        }
    }

    /// <summary>Remembers whether the registry refused the token of <see cref="RenewAsync"/> like the one before it.</summary>
    internal void Renewed(Token token, bool isDenied)
    {
        // Requests that wait for the same token count once.
        if (isDenied && IsPaused(token.Denial))
            return;
        var pause = token.Denial is { } last ? 2 * last.Pause : FirstDenialPause;
        token.Denial = isDenied ? new(time.GetTimestamp(), pause < MaxDenialPause ? pause : MaxDenialPause) : null;
    }

    /// <summary>Remembers that the registry accepted a token.</summary>
    internal void Accepted(Account account, string scope, string value)
    {
        if (_tokens.TryGetValue((account, scope), out var token) && token.Value == value)
            token.WasAccepted = true;
    }

    /// <summary>Forgets a token that the registry refused, unless it is new: the registry would refuse the next one as well.</summary>
    internal void Refused(Account account, string scope, Token token)
    {
        if (time.GetElapsedTime(token.At) >= RefusedLife)
            _tokens.TryRemove(new((account, scope), token));
    }

    /// <summary>The challenge for which the remembered token was requested; null if no token is remembered. It is kept for each scope,
    /// because each repository may have a token service of its own.</summary>
    internal Challenge? ChallengeOf(Account account, string scope) => _tokens.GetValueOrDefault((account, scope))?.Challenge;

    private bool IsPaused(Denial? denial) => denial is not null && time.GetElapsedTime(denial.At) < denial.Pause;

    private async Task<Token> RequestAsync(
        Challenge challenge, Account account, string scope, string? refused, CancellationToken cancellationToken)
    {
        var realm = challenge.Realm!;
        var before = _tokens.GetValueOrDefault((account, scope));
        var isRefused = before is { WasAccepted: false } && before.Value == refused;
        if (!challenge.HasTokenService)
            throw new UpstreamUnavailableException(
                $"{origin.Authority} names a token service whose address is not http or https, or contains a user name.");

        var credential = await account.CredentialAsync(cancellationToken);
        var hasAccount = credential is not null;
        // Without the login, any http or https address may be asked, because nothing secret is sent. So drop the login if the token service
        // is not known to belong to this upstream, or if the way there is less safe than to the registry.
        if (credential is not null && !origin.MaySendLoginTo(realm))
        {
            if (origin.IsAsSafe(realm))
                LogNotSent(log, origin.Authority, realm.Authority);
            else
                LogNotSentPlainly(log, origin.Authority, realm.Authority);
            credential = null;
        }
        // Another replica may have a token for this account.
        var redisName = shared.NameOf(
            origin.Authority, realm.AbsoluteUri, challenge.Service ?? "", scope, credential?.Username ?? "", credential?.Secret ?? "");
        if (!account.IsOfClient && await shared.FindAsync(Kind, redisName) is { } found
            && Parse(found, time.GetUtcNow()) is var (known, life) && known != refused)
            return Keep(account, scope, new Token(known, life, challenge, time.GetTimestamp())
            {
                WasAccepted = true,
                IsLoginWithheld = hasAccount && credential is null,
            });

        // A registry may name several scopes, with spaces between them. In a query each has a parameter of its own.
        string[] scopes = credential is { IsIdentityToken: true } ? [scope] : scope.Split(' ');
        List<KeyValuePair<string, string>> parameters = [.. scopes.Select(each => KeyValuePair.Create("scope", each))];
        if (challenge.Service is { } service)
            parameters.Add(new("service", service));
        var asked = time.GetTimestamp();
        var (answer, sent) = await SendAsync(realm, parameters, credential, cancellationToken);
        using var response = answer;
        if (response.StatusCode == HttpStatusCode.TooManyRequests)
            throw new UpstreamLimitedException(
                $"The token service of {origin.Authority} answered 429.", UpstreamRequest.RetryAfter(response, time));
        var status = (int)response.StatusCode;
        // 401 (or 400 to an identity token: RFC 6749, 5.2) means that the service refuses the login or this repository. 403 and 404 refuse
        // the repository.
        if (status == 400 && sent is { IsIdentityToken: true })
            status = 401;
        var isLoginRefused = status == 401 && sent is not null && !account.IsOfClient
            ? await IsLoginRefusedAsync(challenge, account, sent, cancellationToken) : false;
        if (status is 401 or 403 or 404 && isLoginRefused != true)
            throw new UpstreamDeniedException(
                $"The token service of {origin.Authority} answered {status} for {scope}.", hasAccount)
            {
                MayBeOfLogin = isLoginRefused is null,
                LoginAdvice = hasAccount && credential is null ? WithheldAdvice : null,
            };
        if (!response.IsSuccessStatusCode)
            throw new UpstreamUnavailableException($"The token service of {origin.Authority} answered {status}.")
            {
                IsLoginRefused = isLoginRefused == true,
                LoginAdvice = account.LoginAdvice,
            };

        var body = await UpstreamRequest.ReadJsonAsync(response, UpstreamJson.Default.TokenBody, origin, cancellationToken);
        if (body.Value is not { } value || value.AsSpan().ContainsAnyInRange('\0', ' '))
            throw new UpstreamUnavailableException($"The token service of {origin.Authority} sent no token.");
        // The lifetime counts from the time before the request, by our own clock.
        var lifetime = body.Seconds is > 0 and var seconds
            ? TimeSpan.FromSeconds(Math.Min(seconds, MaxLifetime.TotalSeconds))
            : DefaultLifetime;
        var left = lifetime * RenewalShare - time.GetElapsedTime(asked);
        var token = new Token(value, left, challenge, time.GetTimestamp())
        {
            ReplacesUnaccepted = isRefused || before is { WasAccepted: false, ReplacesUnaccepted: true },
            IsLoginWithheld = hasAccount && sent is null,
        };
        var text = string.Create(CultureInfo.InvariantCulture, $"{(time.GetUtcNow() + left).ToUnixTimeMilliseconds()} {value}");
        _logins.Accepted(account);
        // Share the token unless a redirect dropped the login: the token's name in Redis depends on the login.
        if (!account.IsOfClient && sent == credential)
            await shared.RememberAsync(Kind, redisName, text, left);
        if (isRefused && !before!.ReplacesUnaccepted)
            await Task.Delay(Settling, time, cancellationToken);
        return Keep(account, scope, token);
    }

    // Some token services give no token without a scope. Then a login that got a token for another repository counts as accepted. If this
    // login never got a token, we know nothing: null.
    private async Task<bool?> IsLoginRefusedAsync(
        Challenge challenge, Account account, Credential credential, CancellationToken cancellationToken)
    {
        return await _logins.IsRefusedAsync(account, AskAsync, cancellationToken)
            ?? (_tokens.Keys.Any(known => known.Item1 == account) ? false : (bool?)null);

        async Task<bool?> AskAsync(CancellationToken stop)
        {
            List<KeyValuePair<string, string>> parameters = challenge.Service is { } service ? [new("service", service)] : [];
            var (answer, sent) = await SendAsync(challenge.Realm!, parameters, credential, stop);
            using var response = answer;
            return sent is null ? null
                : response.StatusCode == HttpStatusCode.Unauthorized ? true
                : response.IsSuccessStatusCode ? false
                : sent.IsIdentityToken && await IsInvalidGrantAsync(response, stop) ? true
                : null;
        }
    }

    // How a service refuses an identity token (RFC 6749, 5.2). It also answers 400 to a request that lacks something.
    private async Task<bool> IsInvalidGrantAsync(HttpResponseMessage response, CancellationToken cancellationToken) =>
        response.StatusCode == HttpStatusCode.BadRequest
        && (await UpstreamRequest.ReadStartAsync(response, UpstreamAnswers.MaxErrorStart, origin, cancellationToken))
            .AsSpan().IndexOf("invalid_grant"u8) >= 0;

    // Follows redirects. The result has the login of the last request: a redirect to another host drops the login.
    private async Task<(HttpResponseMessage Response, Credential? Sent)> SendAsync(
        Uri realm, List<KeyValuePair<string, string>> parameters, Credential? credential, CancellationToken cancellationToken)
    {
        var query = string.Join('&', parameters.Select(each => $"{each.Key}={Uri.EscapeDataString(each.Value)}"));
        var url = credential is { IsIdentityToken: true } ? realm
            : new Uri($"{realm.GetLeftPart(UriPartial.Query)}{(realm.Query.Length == 0 ? '?' : '&')}{query}");
        for (var redirects = 0; ; redirects++)
        {
            using var request = credential is { IsIdentityToken: true } identity
                ? Exchange(url, parameters, identity)
                : new HttpRequestMessage(HttpMethod.Get, url) { Headers = { Authorization = credential?.ToHeader() } };
            request.Options.Set(UpstreamRequest.Kind, UpstreamKind.Token);
            var response = await UpstreamRequest.SendAsync(http, request, origin, cancellationToken);
            if (RedirectHandler.Target(response) is not { } target)
                return (response, credential);
            response.Dispose();
            if (redirects == RedirectHandler.MaxRedirects || !UpstreamOrigin.IsHttpWithoutUserInfo(target)
                || url.Scheme == Uri.UriSchemeHttps && !origin.IsAsSafe(target))
                throw new UpstreamUnavailableException(
                    $"The token service of {origin.Authority} redirects too often, or to '{target.Authority}', which is not allowed: "
                    + "plain HTTP after HTTPS, another scheme, or a user name in the address.");
            if (Uri.Compare(url, target, UriComponents.SchemeAndServer, UriFormat.Unescaped, StringComparison.OrdinalIgnoreCase) != 0)
                credential = null;
            url = target;
        }
    }

    // Docker's "Authenticate with OAuth2": the identity token is a refresh token.
    private static HttpRequestMessage Exchange(Uri url, List<KeyValuePair<string, string>> parameters, Credential identity) =>
        new(HttpMethod.Post, url)
        {
            Content = new FormUrlEncodedContent(
                [.. parameters, new("grant_type", "refresh_token"), new("client_id", "mirror"), new("refresh_token", identity.Secret)]),
        };

    private Token Keep(Account account, string scope, Token token)
    {
        if (_tokens.Count >= MaxTokens)
            _tokens.Clear();
        token.Denial = _tokens.GetValueOrDefault((account, scope))?.Denial;
        _tokens[(account, scope)] = token;
        return token;
    }

    // A token that another replica shared, and how long to keep it.
    internal static (string Value, TimeSpan Life)? Parse(string text, DateTimeOffset now)
    {
        if (text.Split(' ') is not [var until, not "" and var value]
            || !long.TryParse(until, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds))
            return null;
        var left = milliseconds - now.ToUnixTimeMilliseconds();
        if (left <= 0 || left > MaxLifetime.TotalMilliseconds)
            return null;
        // Redis deletes the token at its end. The date of this machine may be wrong, so look into Redis again soon.
        return (value, TimeSpan.FromMilliseconds(Math.Min(left, DefaultLifetime.TotalMilliseconds)));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Upstream} names the token service {Realm}, which may not get the login of section "
        + "proxy: asking without it; if you trust this service, add {Realm} to proxy.token_realms")]
    private static partial void LogNotSent(ILogger log, string upstream, string realm);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Upstream} names the token service {Realm} with an http:// address, to which the "
        + "mirror does not send the login of section proxy: asking without it; set up the proxy in front of {Upstream} so that it names an "
        + "https:// address (many registries need the header X-Forwarded-Proto for this)")]
    private static partial void LogNotSentPlainly(ILogger log, string upstream, string realm);
}
