using System.Collections.Concurrent;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Mirror.Limits;

namespace Mirror.Tls.Acme;

/// <summary>Signed requests to one authority, in the name of one account (RFC 8555, 6). Thread-safe.</summary>
/// <param name="http">Limits the time and the length of each answer, and follows no redirect.</param>
/// <param name="directory">The address of the authority's directory.</param>
/// <param name="email">Where the authority may write to; null for nowhere.</param>
/// <param name="accountFile">Reads the key of the account, or makes one.</param>
internal sealed class AcmeSession(HttpClient http, Uri directory, string? email, Func<AccountKey> accountFile, TimeProvider time)
    : IDisposable
{
    // With a bad nonce comes a new one, so that another try costs one request. Pebble refuses as many as it is told to.
    private const int MaxNonceTries = 25;
    private const int MaxNonces = 16;

    private readonly ConcurrentQueue<string> _nonces = new();
    private readonly SemaphoreSlim _gate = new(1);
    private AccountKey? _key;
    private AcmeDirectory? _directory;
    private Uri? _account;
    private volatile bool _isOpen;

    /// <summary>Called when the authority knows the account, with the address of its terms of service, which were agreed to.</summary>
    public Action<string?>? Registered { get; set; }

    /// <summary>The thumbprint of the account's key.</summary>
    public string Thumbprint => _key!.Thumbprint;

    /// <summary>Has the next <see cref="OpenAsync"/> ask for the directory and the account again.</summary>
    public void Forget() => _isOpen = false;

    /// <summary>Reads the directory, and makes the account known to the authority, where that was not done before.</summary>
    /// <returns>Where new orders go.</returns>
    /// <exception cref="AcmeException">The authority refuses, cannot be reached, or sends something else.</exception>
    public async Task<Uri> OpenAsync(CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            if (_isOpen)
                return _directory!.NewOrder!;
            var read = Parse(
                await SendAsync(new HttpRequestMessage(HttpMethod.Get, directory), cancellationToken), AcmeJson.Default.AcmeDirectory);
            if (read is not { NewNonce: not null, NewAccount: { } newAccount, NewOrder: { } newOrder })
                throw new AcmeException($"{directory} sent no directory of ACME: newNonce, newAccount and newOrder are needed");
            if (read.Meta?.ExternalAccountRequired is true)
                throw new AcmeException($"{directory} wants accounts that were bound by another way (external account binding), which this "
                    + "server does not do");
            (_directory, _key) = (read, _key ?? accountFile());
            // With the same key the authority finds the account again.
            var account = new AcmeNewAccount(true, email is null ? null : [$"mailto:{email}"]);
            var answer = await SignAndSendAsync(newAccount, ToText(account, AcmeJson.Default.AcmeNewAccount), null, cancellationToken);
            _account = answer.Location ?? throw new AcmeException($"{newAccount} did not say where the account is (Location)");
            Registered?.Invoke(read.Meta?.TermsOfService);
            _isOpen = true;
            return newOrder;
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Sends a document.</summary>
    /// <exception cref="AcmeException">As <see cref="OpenAsync"/>.</exception>
    public async Task<AcmeAnswer<T>> PostAsync<TBody, T>(
        Uri url, TBody body, JsonTypeInfo<TBody> bodyType, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        var answer = await SignAndSendAsync(url, ToText(body, bodyType), _account, cancellationToken);
        return new(Parse(answer, type), answer.Location, answer.RetryAfter);
    }

    /// <summary>Reads a document, by a request without a payload (RFC 8555, 6.3).</summary>
    /// <exception cref="AcmeException">As <see cref="OpenAsync"/>.</exception>
    public async Task<AcmeAnswer<T>> GetAsync<T>(Uri url, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        var answer = await SignAndSendAsync(url, "", _account, cancellationToken);
        return new(Parse(answer, type), answer.Location, answer.RetryAfter);
    }

    /// <summary>Reads a text, as <see cref="GetAsync"/> does.</summary>
    /// <exception cref="AcmeException">As <see cref="OpenAsync"/>.</exception>
    public async Task<string> GetTextAsync(Uri url, CancellationToken cancellationToken) =>
        (await SignAndSendAsync(url, "", _account, cancellationToken)).Body;

    /// <summary>Says that a challenge is ready (RFC 8555, 7.5.1).</summary>
    /// <exception cref="AcmeException">As <see cref="OpenAsync"/>.</exception>
    public Task ReadyAsync(Uri challenge, CancellationToken cancellationToken) =>
        SignAndSendAsync(challenge, "{}", _account, cancellationToken);

    public void Dispose()
    {
        _key?.Dispose();
        _gate.Dispose();
        http.Dispose();
    }

    /// <param name="account">Null: the request shows the key itself.</param>
    private async Task<Answer> SignAndSendAsync(Uri url, string payload, Uri? account, CancellationToken cancellationToken)
    {
        Require(url);
        for (var tries = 1; ; tries++)
            try
            {
                var nonce = JsonEncodedText.Encode(await NonceAsync(cancellationToken));
                var address = JsonEncodedText.Encode(url.AbsoluteUri);
                var who = account is null ? $"\"jwk\":{_key!.Jwk}" : $"\"kid\":\"{JsonEncodedText.Encode(account.AbsoluteUri)}\"";
                var header = $$"""{"alg":"ES256","nonce":"{{nonce}}","url":"{{address}}",{{who}}}""";
                var content = new StringContent(_key!.Sign(header, payload), Encoding.UTF8);
                // The authority refuses it with a charset.
                content.Headers.ContentType = new MediaTypeHeaderValue("application/jose+json");
                return await SendAsync(new HttpRequestMessage(HttpMethod.Post, url) { Content = content }, cancellationToken);
            }
            catch (AcmeException failure) when (failure.Type is "badNonce" && tries < MaxNonceTries)
            {
                // RFC 8555, 6.5: the server says so when the nonce is too old, too, and the request counts for nothing.
            }
    }

    private async Task<string> NonceAsync(CancellationToken cancellationToken)
    {
        if (_nonces.TryDequeue(out var known))
            return known;
        await SendAsync(new HttpRequestMessage(HttpMethod.Head, _directory!.NewNonce), cancellationToken);
        return _nonces.TryDequeue(out var fresh) ? fresh : throw new AcmeException($"{_directory.NewNonce} sent no nonce (Replay-Nonce)");
    }

    private async Task<Answer> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var url = request.RequestUri!;
        Require(url);
        try
        {
            using (request)
            {
                using var response = await http.SendAsync(request, cancellationToken);
                if (response.Headers.TryGetValues("Replay-Nonce", out var nonces) && nonces.First() is { Length: > 0 } nonce
                    && _nonces.Count < MaxNonces)
                    _nonces.Enqueue(nonce);
                var body = await response.Content.ReadAsStringAsync(cancellationToken);
                var retryAfter = RetryAfter.Of(response, time);
                if (response.IsSuccessStatusCode)
                    return new Answer(url, body, LocationIn(url, response), retryAfter);
                throw AcmeException.Of($"{url} refuses", ProblemIn(body), (int)response.StatusCode, retryAfter);
            }
        }
        catch (Exception failure) when (failure is HttpRequestException or InvalidOperationException)
        {
            var why = failure is HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded }
                ? "its answer is too long" : failure.InnerException?.Message ?? failure.Message;
            throw new AcmeException($"{url} cannot be used: {why}", failure);
        }
        catch (OperationCanceledException failure) when (!cancellationToken.IsCancellationRequested)
        {
            throw new AcmeException($"{url} did not answer within {http.Timeout.TotalSeconds} s", failure);
        }
    }

    private static Uri? LocationIn(Uri url, HttpResponseMessage response) =>
        response.Headers.Location is not { } location ? null
        : Uri.TryCreate(url, location, out var target) ? target
        : throw new AcmeException($"{url} sent a Location that is no URL: {location}");

    // A directory of https stays with https.
    private void Require(Uri url)
    {
        if (!url.IsAbsoluteUri || url.Scheme != directory.Scheme)
            throw new AcmeException($"{directory} leads to {url}, which is no address with {directory.Scheme}");
    }

    private static AcmeProblem? ProblemIn(string body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, AcmeJson.Default.AcmeProblem);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static T Parse<T>(Answer answer, JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize(answer.Body, type) ?? throw new JsonException("null");
        }
        catch (JsonException failure)
        {
            throw new AcmeException($"{answer.Url} sent another answer than ACME describes", failure) { Status = 200 };
        }
    }

    private static string ToText<T>(T body, JsonTypeInfo<T> type) => JsonSerializer.Serialize(body, type);

    private sealed record Answer(Uri Url, string Body, Uri? Location, TimeSpan? RetryAfter);
}

/// <summary>A document of the authority.</summary>
/// <param name="Location">The address in the answer's headers.</param>
/// <param name="RetryAfter">When to ask again.</param>
internal sealed record AcmeAnswer<T>(T Document, Uri? Location, TimeSpan? RetryAfter);
