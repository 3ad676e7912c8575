using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Health;

/// <summary>
/// Fails unless a HEAD of an address has the configured status: <see cref="HttpHealthOptions"/>. It follows no redirect, because its
/// headers may be secret.
/// </summary>
internal sealed class HttpCheck(HttpHealthOptions options, IHttpClientFactory clients)
    : HealthCheck(options.Uri!.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped), options)
{
    /// <summary>The name of its HTTP client.</summary>
    public const string Client = "health";

    public override TimeSpan TimeLimit => TimeLimitOf(options.Timeout);

    public override async Task<string?> FailureAsync(CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, options.Uri);
        request.Headers.Authorization = BasicHeader.Of(options.Uri!);
        ConfiguredHeaders.Set(request, options.Headers);
        var client = clients.CreateClient(Client);
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        var status = (int)response.StatusCode;
        return status == options.StatusCode ? null : $"unexpected status: {status}";
    }
}
