using System.Net;
using System.Text.Json;
using Google;
using Google.Apis.Auth.OAuth2.Responses;
using Google.Apis.Requests;

namespace Mirror.Storage.Buckets.Gcs;

/// <summary>Sends requests to Google's service, repeats them, and translates its answers.</summary>
internal sealed class GcsCalls(GcsOptions options, TimeProvider time) : BucketCalls(options.Location, time)
{
    /// <summary>The most bytes of an answer that is an error.</summary>
    private const int MaxErrorLength = 64 * 1024;

    private const int MaxAttempts = 3;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);

    // A 403 of these kinds is temporary.
    private static readonly string[] Temporary = ["rateLimitExceeded", "userRateLimitExceeded"];

    private const string Quota = "quotaExceeded";

    private readonly SemaphoreSlim _opening = new(1);
    private readonly TimeProvider _time = time;
    private GcsClient? _client;

    /// <summary>The clock of the service.</summary>
    public StoreClock Clock { get; } = new(time);

    /// <summary>The client, which is created with the first call that finds its credentials.</summary>
    public async ValueTask<GcsClient> ClientAsync(CancellationToken cancellationToken)
    {
        if (_client is { } known)
            return known;
        await _opening.WaitAsync(cancellationToken);
        try
        {
            return _client ??= await GcsClient.CreateAsync(options, Clock, cancellationToken);
        }
        finally
        {
            _opening.Release();
        }
    }

    /// <summary>Makes a call of Google's library, and repeats it where the service cannot answer now.</summary>
    public async Task<T> ExecuteAsync<T>(Func<GcsClient, Task<T>> call, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
            try
            {
                return await call(await ClientAsync(cancellationToken));
            }
            catch (Exception failure) when (attempt < MaxAttempts && IsTemporary(failure))
            {
                await PauseAsync(attempt, cancellationToken);
            }
    }

    /// <summary>Sends a request that Google's library has no call for.</summary>
    /// <param name="make">Makes the request, once for each attempt.</param>
    /// <returns>An answer of 2xx, or one that <paramref name="isExpected"/>.</returns>
    public Task<HttpResponseMessage> SendAsync(
        Func<HttpRequestMessage> make, CancellationToken cancellationToken, Predicate<HttpStatusCode>? isExpected = null) =>
        ExecuteAsync(client => SendOnceAsync(client, make, isExpected, cancellationToken), cancellationToken);

    /// <inheritdoc cref="SendAsync"/>
    public static async Task<HttpResponseMessage> SendOnceAsync(
        GcsClient client, Func<HttpRequestMessage> make, Predicate<HttpStatusCode>? isExpected, CancellationToken cancellationToken)
    {
        using var request = make();
        var response = await client.Service.HttpClient.SendAsync(
            request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (response.IsSuccessStatusCode || isExpected?.Invoke(response.StatusCode) == true)
            return response;
        using (response)
            throw await FailureAsync(response, cancellationToken);
    }

    /// <summary>Waits before another attempt.</summary>
    public Task PauseAsync(int attempt, CancellationToken cancellationToken) =>
        Task.Delay(FirstPause * (1 << attempt) * (0.5 + Random.Shared.NextDouble()), _time, cancellationToken);

    /// <summary>Whether the same call may succeed soon.</summary>
    public static bool IsTemporary(Exception failure) => failure switch
    {
        GoogleApiException { HttpStatusCode: HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests } => true,
        GoogleApiException { HttpStatusCode: >= HttpStatusCode.InternalServerError and not HttpStatusCode.InsufficientStorage } => true,
        HttpRequestException or IOException => true,
        _ => false,
    };

    protected override CallFailure KindOf(Exception failure) => failure switch
    {
        GoogleApiException { HttpStatusCode: HttpStatusCode.NotFound } missing =>
            missing.Error?.Message?.Contains("bucket does not exist", StringComparison.OrdinalIgnoreCase) == true
                ? CallFailure.Away
                : CallFailure.Missing,
        GoogleApiException { Error.Errors: { } errors } when errors.Any(error => Temporary.Contains(error.Reason)) => CallFailure.Away,
        GoogleApiException { HttpStatusCode: HttpStatusCode.InsufficientStorage } => CallFailure.Full,
        GoogleApiException { Error.Errors: { } errors } when errors.Any(error => error.Reason is Quota) => CallFailure.Full,
        GoogleApiException { HttpStatusCode: HttpStatusCode.Unauthorized } => CallFailure.Away,
        GoogleApiException when IsTemporary(failure) => CallFailure.Away,
        GoogleApiException { HttpStatusCode: >= HttpStatusCode.BadRequest } => CallFailure.Refused,
        _ => CallFailure.Away,
    };

    protected override string Describe(Exception failure) => failure switch
    {
        GoogleApiException { HttpStatusCode: var status } refused =>
            $"refused: {(int)status}: {refused.Error?.Message ?? refused.Message}"
                + (KindOf(failure) is CallFailure.Full ? "; a quota is used up: raise it, or make room" : Advice(status)),
        TokenResponseException login =>
            $"cannot be logged in to: {login.Error?.Error}: {login.Error?.ErrorDescription}{LoginAdvice(login)}",
        HttpRequestException => Unreached(failure),
        FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException or InvalidOperationException or JsonException
            or ArgumentException => $"cannot be logged in to: {failure.Message}",
        _ => Unreached(failure),
    };

    private static string LoginAdvice(TokenResponseException login) => login switch
    {
        { StatusCode: >= HttpStatusCode.InternalServerError } => "",
        // The words in which Google says that the times in a log-in are not near its own.
        { Error.ErrorDescription: { } words } when words.Contains("reasonable timeframe", StringComparison.OrdinalIgnoreCase) =>
            "; the clock of this machine is wrong: set the clock",
        _ => "; the key is not valid any longer: create another one",
    };

    private static string Advice(HttpStatusCode status) => status switch
    {
        // Objects that do not exist have no message.
        HttpStatusCode.NotFound => "; there is no such bucket: create it, or change bucket",
        HttpStatusCode.Unauthorized => "; the store does not accept the credentials",
        HttpStatusCode.Forbidden => "; the account may not do this: give it the right",
        _ => "",
    };

    protected override Task ProbeAsync(CancellationToken cancellationToken) => ExecuteAsync(client =>
    {
        var list = client.Service.Objects.List(options.Bucket);
        (list.Prefix, list.MaxResults) = (options.Root, 1);
        return list.ExecuteAsync(cancellationToken);
    }, cancellationToken);

    // The errors of the service are JSON. Those of what stands before it may be anything.
    private static async Task<GoogleApiException> FailureAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        var bytes = new byte[MaxErrorLength];
        var length = await body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellationToken);
        var error = new RequestError
        {
            Code = (int)response.StatusCode,
            Message = System.Text.Encoding.UTF8.GetString(bytes, 0, Math.Min(length, 300)),
            Errors = [],
        };
        try
        {
            using var document = JsonDocument.Parse(bytes.AsMemory(0, length));
            if (document.RootElement.TryGetProperty("error", out var told) && told.TryGetProperty("message", out var message))
                error.Message = message.GetString();
            if (told.ValueKind is JsonValueKind.Object && told.TryGetProperty("errors", out var errors))
                foreach (var each in errors.EnumerateArray())
                    error.Errors.Add(new() { Reason = each.TryGetProperty("reason", out var reason) ? reason.GetString() : null });
        }
        catch (Exception other) when (other is JsonException or InvalidOperationException)
        {
            // Not JSON, or not of this form: the text is the message.
        }
        return new GoogleApiException("storage", error.Message) { HttpStatusCode = response.StatusCode, Error = error };
    }
}
