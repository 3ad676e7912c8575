using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace Mirror.Storage.Buckets.Swift;

/// <summary>Sends requests to an account of Swift, with a token that it renews. It repeats them after temporary failures.</summary>
internal sealed class SwiftClient(SwiftOptions options) : IDisposable
{
    private const int MaxAttempts = 3;
    private const int MaxDocument = 32 << 20;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);

    private readonly HttpClient _http = BucketHttp.Create(options.InsecureSkipVerify);
    private readonly SwiftTokens _tokens = new(options, BucketHttp.Create(options.InsecureSkipVerify));

    /// <summary>The address of the account.</summary>
    public async ValueTask<Uri> AccountAsync(CancellationToken cancellationToken) =>
        (await _tokens.GetAsync(refused: null, cancellationToken)).Account;

    /// <summary>Sends a request. The caller reads the body of the answer, and disposes the answer.</summary>
    /// <param name="path">What follows the address of the account: a container, an object, a query.</param>
    /// <param name="prepare">Adds headers and a body, once for each attempt.</param>
    /// <exception cref="SwiftException">The answer is not a success.</exception>
    public async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, string path, Action<HttpRequestMessage>? prepare, CancellationToken cancellationToken)
    {
        SwiftAccess? refused = null;
        for (var attempt = 1; ; attempt++)
            try
            {
                var access = await _tokens.GetAsync(refused, cancellationToken);
                using var request = new HttpRequestMessage(method, access.Account.OriginalString.TrimEnd('/') + path);
                request.Headers.TryAddWithoutValidation("X-Auth-Token", access.Token);
                prepare?.Invoke(request);
                var answer = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
                if (answer.IsSuccessStatusCode)
                    return answer;
                var status = answer.StatusCode;
                answer.Dispose();
                if (status is HttpStatusCode.Unauthorized && refused is null)
                    refused = access;
                else
                    throw new SwiftException(status, $"{method} is answered {(int)status}{Reason(status)}");
            }
            catch (Exception failure) when (
                attempt < MaxAttempts && failure is SwiftException { IsTemporary: true } or HttpRequestException or IOException)
            {
                await Task.Delay(FirstPause * attempt, cancellationToken);
            }
    }

    /// <summary>Sends a request, and ignores the body of the answer.</summary>
    /// <returns>The headers of the answer.</returns>
    /// <inheritdoc cref="SendAsync" path="/exception"/>
    public async Task<SwiftHeaders> CallAsync(
        HttpMethod method, string path, Action<HttpRequestMessage>? prepare, CancellationToken cancellationToken)
    {
        using var answer = await SendAsync(method, path, prepare, cancellationToken);
        return new(answer);
    }

    /// <summary>Deletes an object. It stays if Swift answers 409: another request wrote it after the deletion began.</summary>
    /// <returns>Null if it stays.</returns>
    /// <inheritdoc cref="SendAsync" path="/exception"/>
    public async Task<SwiftHeaders?> DeleteAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            return await CallAsync(HttpMethod.Delete, path, null, cancellationToken);
        }
        catch (SwiftException newer) when (newer.Status is HttpStatusCode.Conflict)
        {
            return null;
        }
    }

    /// <summary>Reads a document of JSON; null if the answer is empty.</summary>
    /// <inheritdoc cref="SendAsync" path="/exception"/>
    public async Task<JsonDocument?> DocumentAsync(
        HttpMethod method, string path, Action<HttpRequestMessage>? prepare, CancellationToken cancellationToken)
    {
        using var answer = await SendAsync(method, path, prepare, cancellationToken);
        await answer.Content.LoadIntoBufferAsync(MaxDocument, cancellationToken);
        var body = await answer.Content.ReadAsByteArrayAsync(cancellationToken);
        return body.Length == 0 ? null : JsonDocument.Parse(body);
    }

    /// <summary>Swift's list of its abilities; null if it gives none.</summary>
    public async Task<JsonDocument?> InfoAsync(CancellationToken cancellationToken)
    {
        var account = await AccountAsync(cancellationToken);
        using var answer = await _http.GetAsync(
            new Uri(account, "/info"), HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (answer.StatusCode is not HttpStatusCode.OK)
            return null;
        await answer.Content.LoadIntoBufferAsync(MaxDocument, cancellationToken);
        return JsonDocument.Parse(await answer.Content.ReadAsByteArrayAsync(cancellationToken));
    }

    public void Dispose()
    {
        _http.Dispose();
        _tokens.Dispose();
    }

    private static string Reason(HttpStatusCode status) => (int)status switch
    {
        401 => ": the token is not accepted",
        403 => ": the account may not do this",
        413 => ": a quota is used up",
        507 => ": the store has no room",
        _ => "",
    };
}

/// <summary>The headers of an answer.</summary>
internal sealed class SwiftHeaders(HttpResponseMessage answer)
{
    private readonly HttpResponseHeaders _headers = answer.Headers;

    public long Length { get; } = answer.Content.Headers.ContentLength ?? 0;

    /// <summary>For a dynamic large object: the container and the prefix of its segments.</summary>
    public string? Manifest => this["X-Object-Manifest"] is { } escaped ? Uri.UnescapeDataString(escaped) : null;

    /// <summary>Whether the object is a static large object, whose segments its own list names.</summary>
    public bool IsStatic => string.Equals(this["X-Static-Large-Object"], "true", StringComparison.OrdinalIgnoreCase);

    public string? this[string name] => _headers.TryGetValues(name, out var values) ? values.First() : null;
}
