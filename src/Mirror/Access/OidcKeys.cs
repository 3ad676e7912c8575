using System.Text.Json;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;
using Mirror.Storage;

namespace Mirror.Access;

/// <summary>
/// The keys of an OpenID provider, which this class finds by the provider's discovery document (OpenID Connect Discovery 1.0), keeps and
/// renews. While it cannot renew them, the last keys are valid.
/// </summary>
internal sealed partial class OidcKeys : IDisposable
{
    private const int MaxDocument = 1 << 20;

    private static readonly TimeSpan MaxAge = TimeSpan.FromHours(12);
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(10);
    // A new key of the provider needs one more read. Forged tokens must not cause many.
    private static readonly TimeSpan MinBetweenUnknown = TimeSpan.FromSeconds(10);

    private readonly string _issuer;
    private readonly string _discovery;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly HttpClient _http;
    private readonly HttpDocumentRetriever _documents;
    private readonly SingleFlight<int, JsonWebKeySet?> _reads = new();
    private readonly Lock _gate = new();
    private JsonWebKeySet? _keys;
    private long? _readAt;
    private long? _failedAt;
    private long? _unknownAt;

    public OidcKeys(string issuer, TimeProvider time, ILogger log)
    {
        (_issuer, _time, _log) = (issuer, time, log);
        _discovery = $"{issuer.TrimEnd('/')}/.well-known/openid-configuration";
        _http = new HttpClient(
            new ProxyLogin(new SocketsHttpHandler { AllowAutoRedirect = false, ConnectCallback = HappyEyeballs.ConnectAsync }))
        {
            Timeout = MaxWait,
            MaxResponseContentBufferSize = MaxDocument,
        };
        _documents = new(_http) { RequireHttps = !new Uri(issuer).IsLoopback };
    }

    /// <summary>The keys. A caller waits only while none were read yet; a renewal runs in the background.</summary>
    /// <returns>Null if none were read yet, and reading them failed now or a moment ago.</returns>
    public async ValueTask<JsonWebKeySet?> GetAsync(CancellationToken cancellationToken)
    {
        JsonWebKeySet? keys;
        lock (_gate)
        {
            keys = _keys;
            if (IsWithin(_failedAt, RetryInterval) || keys is not null && IsWithin(_readAt, MaxAge))
                return keys;
        }
        var read = ReadAsync(cancellationToken);
        return keys ?? await read;
    }

    /// <summary>The keys for a token with an unknown key: reads them again, unless another such token has just caused that.</summary>
    public async ValueTask<JsonWebKeySet?> GetForUnknownAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (IsWithin(_unknownAt, MinBetweenUnknown))
                return _keys;
            _unknownAt = _time.GetTimestamp();
        }
        return await ReadAsync(cancellationToken);
    }

    public void Dispose() => _http.Dispose();

    private bool IsWithin(long? at, TimeSpan span) => at is { } then && _time.GetElapsedTime(then) < span;

    private async Task<JsonWebKeySet?> ReadAsync(CancellationToken cancellationToken) =>
        (await _reads.JoinOrStart(0, _ => ReadOnceAsync(), cancellationToken)).Result;

    private async Task<JsonWebKeySet?> ReadOnceAsync()
    {
        // One limit for both requests: the discovery document and the keys.
        using var limit = new CancellationTokenSource(MaxWait, _time);
        try
        {
            var found = await OpenIdConnectConfigurationRetriever.GetAsync(_discovery, _documents, limit.Token);
            if (found.JsonWebKeySet is not { Keys.Count: > 0 })
                throw new InvalidOperationException($"{_discovery} leads to no keys");
            lock (_gate)
            {
                (_readAt, _failedAt) = (_time.GetTimestamp(), null);
                return _keys = found.JsonWebKeySet;
            }
        }
        catch (Exception failure) when (
            failure is InvalidOperationException or IOException or ArgumentException or JsonException or OperationCanceledException)
        {
            LogNoKeys(_issuer, failure.GetBaseException().Reason);
            lock (_gate)
            {
                _failedAt = _time.GetTimestamp();
                return _keys;
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the keys of {Issuer} (auth.oidc.issuer) cannot be read: {Reason}; the keys that were read last stay valid, if there are any")]
    private partial void LogNoKeys(string issuer, string reason);
}
