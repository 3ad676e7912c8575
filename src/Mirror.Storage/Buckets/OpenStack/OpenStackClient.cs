using System.Net;
using System.Text.Json;

namespace Mirror.Storage.Buckets.OpenStack;

/// <summary>Sends requests to a service of OpenStack, with a token that it renews. It repeats them after temporary failures.</summary>
internal class OpenStackClient(OpenStackOptions options, OpenStackService service, StoreClock clock) : IDisposable
{
    protected const int MaxDocument = 32 << 20;

    private const int MaxAttempts = 3;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);

    private readonly OpenStackTokens _tokens = new(options, service, BucketHttp.Create(options.InsecureSkipVerify));

    protected HttpClient Http { get; } = BucketHttp.CreateOfStore(clock, options.InsecureSkipVerify);

    /// <summary>The address of the service, for this project.</summary>
    public async ValueTask<Uri> EndpointAsync(CancellationToken cancellationToken) =>
        (await _tokens.GetAsync(refused: null, cancellationToken)).Endpoint;

    /// <summary>Sends a request. The caller reads the body of the answer, and disposes the answer.</summary>
    /// <param name="path">What follows the address of the service.</param>
    /// <param name="prepare">Adds headers and a body, once for each attempt.</param>
    /// <param name="attempts">How often the request is sent at most. A token that is no longer accepted does not count.</param>
    /// <exception cref="OpenStackException">The answer is not a success.</exception>
    public async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, string path, Action<HttpRequestMessage>? prepare, CancellationToken cancellationToken,
        int attempts = MaxAttempts)
    {
        OpenStackAccess? refused = null;
        for (var attempt = 1; ; attempt++)
            try
            {
                var access = await _tokens.GetAsync(refused, cancellationToken);
                using var request = new HttpRequestMessage(method, access.Endpoint.OriginalString.TrimEnd('/') + path);
                if (access.Token is { } token)
                    request.Headers.TryAddWithoutValidation("X-Auth-Token", token);
                prepare?.Invoke(request);
                var answer = await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
                if (answer.IsSuccessStatusCode)
                    return answer;
                var status = answer.StatusCode;
                answer.Dispose();
                if (status is HttpStatusCode.Unauthorized && refused is null && access.Token is not null)
                    (refused, attempt) = (access, attempt - 1);
                else
                    throw new OpenStackException(status, $"{method} is answered {(int)status}{Reason(status)}");
            }
            catch (Exception failure) when (
                attempt < attempts && failure is OpenStackException { IsTemporary: true } or HttpRequestException or IOException)
            {
                await Task.Delay(FirstPause * attempt, cancellationToken);
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

    public void Dispose()
    {
        Http.Dispose();
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
