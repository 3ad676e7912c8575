using System.Globalization;
using System.Text.Json;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.Access;

/// <summary>
/// Sends a user's name and password to the token server of <c>auth.token</c>, as docker does ("Token Authentication Specification"), and
/// gets a token. The server does this for users of the pages, because a browser cannot log in at a token server by itself. Only
/// <c>auth.token.realm</c> gets the password, and no redirect takes it further.
/// </summary>
public sealed class TokenLogins : IDisposable
{
    private const int MaxAnswer = 64 << 10;
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(10);

    private readonly TokenOptions _options;
    // Strangers can fill the places of first logins. Those of users who are logged in stay free.
    private readonly Places _first = new(atOnce: 4, waiting: 16);
    private readonly Places _renewals = new(atOnce: 8, waiting: 32);
    private readonly HttpClient _http = new(new ProxyLogin(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        ConnectCallback = HappyEyeballs.ConnectAsync,
    }))
    {
        Timeout = MaxWait,
        MaxResponseContentBufferSize = MaxAnswer,
    };

    public TokenLogins(TokenOptions options) => _options = options;

    /// <summary>Whether passwords may go to the token server: the settings name its address (not <c>autoredirect</c>), and the way is
    /// encrypted or stays in this machine.</summary>
    public static bool MayAsk(TokenOptions options) =>
        !options.AutoRedirect && Uri.TryCreate(options.Realm, UriKind.Absolute, out var realm)
        && (realm.Scheme == Uri.UriSchemeHttps || realm is { Scheme: "http", IsLoopback: true });

    /// <summary>A token for a user, not yet verified; null where the token server refuses the name and the password, or a
    /// scope.</summary>
    /// <param name="scopes">Such as <c>repository:team/app:pull</c>. Without one the answer is about the login alone.</param>
    /// <param name="isRenewal">Whether the token server has accepted the name and the password before.</param>
    /// <exception cref="HttpRequestException">The token server gives no answer, or none of a token server.</exception>
    /// <exception cref="TooManyLoginsException">Too many logins wait already.</exception>
    public async ValueTask<string?> AskAsync(
        string name, string password, IEnumerable<string> scopes, bool isRenewal, CancellationToken cancellationToken)
    {
        var places = isRenewal ? _renewals : _first;
        try
        {
            if (Interlocked.Increment(ref places.Waiting) > places.MaxWaiting)
                throw new TooManyLoginsException();
            await places.Turns.WaitAsync(cancellationToken);
            try
            {
                return await SendAsync(name, password, scopes, cancellationToken);
            }
            finally
            {
                places.Turns.Release();
            }
        }
        finally
        {
            Interlocked.Decrement(ref places.Waiting);
        }
    }

    public void Dispose()
    {
        _http.Dispose();
        _first.Turns.Dispose();
        _renewals.Turns.Dispose();
    }

    private async ValueTask<string?> SendAsync(
        string name, string password, IEnumerable<string> scopes, CancellationToken cancellationToken)
    {
        (string Name, string Value)[] pairs =
            [("service", _options.Service), ("account", name), .. scopes.Select(scope => ("scope", scope))];
        var query = string.Join('&', pairs.Select(pair => $"{pair.Name}={Uri.EscapeDataString(pair.Value)}"));
        var realm = new UriBuilder(_options.Realm) { Fragment = "" };
        realm.Query = realm.Query.Length > 1 ? $"{realm.Query[1..]}&{query}" : query;
        using var request = new HttpRequestMessage(HttpMethod.Get, realm.Uri);
        request.Headers.Authorization = BasicHeader.Of(name, password);
        try
        {
            using var response = await _http.SendAsync(request, cancellationToken);
            if ((int)response.StatusCode is 401 or 403)
                return null;
            if ((int)response.StatusCode is not 200)
                throw new HttpRequestException(
                    string.Create(CultureInfo.InvariantCulture, $"it answered with status {(int)response.StatusCode}"));
            var answer = JsonSerializer.Deserialize(
                await response.Content.ReadAsByteArrayAsync(cancellationToken), UpstreamJson.Default.TokenBody);
            return answer?.Value ?? throw new HttpRequestException("its answer has no token");
        }
        catch (JsonException)
        {
            throw new HttpRequestException("its answer is no JSON");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HttpRequestException("it gave no answer in time");
        }
    }

    private sealed class Places(int atOnce, int waiting)
    {
        public int Waiting;

        public int MaxWaiting => waiting;

        public SemaphoreSlim Turns { get; } = new(atOnce);
    }
}
