using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Serialization;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Upstream;

/// <summary>
/// Bearer tokens of one upstream, one for each account and scope: shared by all requests, renewed before they run out, asked for once however many wait
/// (Docker's "Token Authentication Specification").
/// </summary>
public sealed class TokenSource(UpstreamOrigin origin, HttpClient http, FleetCache shared, TimeProvider time)
{
    private static readonly TimeSpan DefaultLife = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan MaxLifetime = TimeSpan.FromHours(12);
    // Scopes are repository names that clients choose.
    private const int MaxTokens = 10_000;
    private const string Kind = "token";

    private readonly ConcurrentDictionary<(Account, string), Token> _tokens = new();
    private readonly SingleFlight<(Account, string), Token> _asking = new();

    /// <summary>A token that is good for a while yet.</summary>
    /// <param name="scope">Such as <c>repository:library/nginx:pull</c>.</param>
    /// <param name="refused">A token the registry would not take, to be replaced whatever its age; otherwise null.</param>
    /// <exception cref="UpstreamUnavailableException">The token service cannot be asked, or refuses our credentials.</exception>
    /// <exception cref="UpstreamLimitedException">The token service says later.</exception>
    public async ValueTask<string> GetAsync(Challenge challenge, Account account, string scope, string? refused, CancellationToken cancellationToken)
    {
        if (_tokens.TryGetValue((account, scope), out var token) && token.Value != refused && time.GetUtcNow() < token.RenewAt)
            return token.Value;
        var (asked, _) = await _asking.JoinOrStart((account, scope), stop => AskAsync(challenge, account, scope, refused, stop), cancellationToken);
        return asked.Value;
    }

    private async Task<Token> AskAsync(Challenge challenge, Account account, string scope, string? refused, CancellationToken cancellationToken)
    {
        if (!origin.MayAskForTokensAt(challenge.Realm!))
            throw new UpstreamUnavailableException($"{origin.Authority} names the token service '{challenge.Realm!.Host}', which is not its known one: nothing was sent there.");

        // Another replica with this account may have one.
        var credential = await account.CredentialAsync(cancellationToken);
        var place = shared.NameOf(origin.Authority, challenge.Realm!.AbsoluteUri, challenge.Service ?? "", scope, credential?.Username ?? "", credential?.Secret ?? "");
        if (await shared.FindAsync(Kind, place) is { } text && Parse(text) is { } known && known.Value != refused)
            return Keep(account, scope, known);

        var query = $"scope={Uri.EscapeDataString(scope)}" + (challenge.Service is { } service ? $"&service={Uri.EscapeDataString(service)}" : "");
        var separator = challenge.Realm!.Query.Length == 0 ? '?' : '&';
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"{challenge.Realm.GetLeftPart(UriPartial.Query)}{separator}{query}"));
        request.Options.Set(UpstreamRequest.Kind, UpstreamKind.Token);
        if (credential is not null)
            request.Headers.Authorization = Basic(credential);

        var asked = time.GetUtcNow();
        using var response = await UpstreamRequest.SendAsync(http, request, origin.Authority, cancellationToken);
        if (response.StatusCode == HttpStatusCode.TooManyRequests)
            throw new UpstreamLimitedException($"The token service of {origin.Authority} says later.", UpstreamRequest.RetryAfter(response, time));
        // A refused login is our trouble, not an answer about the image: never "no such image".
        if (!response.IsSuccessStatusCode)
            throw new UpstreamUnavailableException($"The token service of {origin.Authority} answered {(int)response.StatusCode}.")
            {
                IsLoginRefused = response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden,
            };

        var body = await UpstreamRequest.ReadJsonAsync(response, UpstreamJson.Default.TokenBody, origin, cancellationToken);
        var value = body.Token ?? body.AccessToken;
        if (string.IsNullOrEmpty(value) || value.AsSpan().ContainsAnyInRange('\0', ' '))
            throw new UpstreamUnavailableException($"The token service of {origin.Authority} sent no token.");
        // Measured from our own clock before asking; renewed at three quarters of its life.
        var life = body.ExpiresIn is > 0 and var seconds ? TimeSpan.FromSeconds(Math.Min(seconds, MaxLifetime.TotalSeconds)) : DefaultLife;
        var token = new Token(value, asked + life * 0.75);
        await shared.RememberAsync(Kind, place, string.Create(CultureInfo.InvariantCulture, $"{token.RenewAt.ToUnixTimeMilliseconds()} {value}"), life * 0.75);
        return Keep(account, scope, token);
    }

    private Token Keep(Account account, string scope, Token token)
    {
        if (_tokens.Count >= MaxTokens)
            _tokens.Clear();
        _tokens[(account, scope)] = token;
        return token;
    }

    private Token? Parse(string text)
    {
        if (text.Split(' ') is not [var until, { Length: > 0 } value] || !long.TryParse(until, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds))
            return null;
        var left = TimeSpan.FromMilliseconds(milliseconds - time.GetUtcNow().ToUnixTimeMilliseconds());
        return left > TimeSpan.Zero && left <= MaxLifetime ? new Token(value, time.GetUtcNow() + left) : null;
    }

    /// <summary>A credential as a Basic header (RFC 7617).</summary>
    internal static AuthenticationHeaderValue Basic(Credential credential) =>
        new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{credential.Username}:{credential.Secret}")));

    private sealed record Token(string Value, DateTimeOffset RenewAt);
}

/// <summary>What a token service answers.</summary>
internal sealed record TokenBody(
    [property: JsonPropertyName("token")] string? Token,
    [property: JsonPropertyName("access_token")] string? AccessToken,
    [property: JsonPropertyName("expires_in")] double? ExpiresIn);

/// <summary>What a registry answers to <c>tags/list</c>.</summary>
internal sealed record TagsBody([property: JsonPropertyName("tags")] IReadOnlyList<string>? Tags);

[JsonSerializable(typeof(TokenBody))]
[JsonSerializable(typeof(TagsBody))]
internal sealed partial class UpstreamJson : JsonSerializerContext;
