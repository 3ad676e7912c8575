using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace Mirror.Storage.Buckets.Elliptics;

/// <summary>Sends requests to Rift. It repeats them at the next address if one cannot be reached, or its nodes fail.</summary>
internal sealed class RiftClient(EllipticsOptions options) : IDisposable
{
    /// <summary>The action that writes an object. Nothing but its bucket can be missing.</summary>
    public const string Upload = "upload";

    private const int MaxAttempts = 3;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);

    private readonly HttpClient _http = BucketHttp.Create(skipVerify: false);
    private readonly int _attempts = Math.Max(MaxAttempts, options.Endpoints.Length);
    private volatile int _current;

    /// <summary>Sends a request. The caller disposes the answer.</summary>
    /// <param name="action">The first part of the path.</param>
    /// <param name="key">The key of the object; null for an action without one.</param>
    /// <param name="prepare">Adds headers and a body, once for each attempt.</param>
    /// <exception cref="RiftException">The answer is not a success.</exception>
    public async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, string action, string? key, Action<HttpRequestMessage>? prepare, CancellationToken cancellationToken)
    {
        var path = key is null ? $"/{action}/" : options.Bucket is { } bucket ? $"/{action}/{bucket}/{key}" : $"/{action}/{key}";
        for (var attempt = 1; ; attempt++)
        {
            var current = _current;
            try
            {
                using var request = new HttpRequestMessage(
                    method, options.Endpoints[current].TrimEnd('/') + string.Join('/', path.Split('/').Select(Uri.EscapeDataString)));
                if (key is not null && options.Username is { } user)
                    request.Headers.TryAddWithoutValidation("Authorization", $"riftv1 {user}:{Sign(method, path)}");
                prepare?.Invoke(request);
                var answer = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
                if (answer.IsSuccessStatusCode)
                    return answer;
                var status = answer.StatusCode;
                answer.Dispose();
                throw new RiftException(
                    status,
                    isMissing: status is HttpStatusCode.NotFound && action != Upload,
                    $"{method} /{action}/ is answered {(int)status}{Reason(status)}");
            }
            catch (Exception failure) when (attempt < _attempts
                && failure is RiftException { Status: >= HttpStatusCode.InternalServerError } or HttpRequestException or IOException)
            {
                _current = (current + 1) % options.Endpoints.Length;
                await Task.Delay(FirstPause * attempt, cancellationToken);
            }
        }
    }

    public void Dispose() => _http.Dispose();

    private string Reason(HttpStatusCode status) => (int)status switch
    {
        404 when options.Bucket is { } bucket => $": there is no bucket {bucket}",
        404 => ": this is no Rift, or one that does not have this route",
        401 or 403 => ": the user may not do this, or the token is wrong",
        503 => ": the nodes of Elliptics fail, or have no room",
        _ => "",
    };

    // Rift signs the method, and the path before it is escaped.
    private string Sign(HttpMethod method, string path) => Convert.ToHexStringLower(
        HMACSHA512.HashData(Encoding.UTF8.GetBytes(options.Token ?? ""), Encoding.UTF8.GetBytes($"{method}\n{path}\n")));
}
