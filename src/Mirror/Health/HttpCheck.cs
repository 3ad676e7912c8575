using Mirror.Configuration;

namespace Mirror.Health;

/// <summary><see cref="HttpHealthOptions"/>. Redirects are not followed: what is sent along may be secret.</summary>
internal sealed class HttpCheck(HttpHealthOptions options, IHttpClientFactory clients)
    : HealthCheck(options.Uri!.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped), options)
{
    /// <summary>The name of the client it uses.</summary>
    public const string Client = "health";

    public override TimeSpan Limit => LimitOf(options.Timeout);

    public override async Task<string?> WhatIsWrongAsync(CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, options.Uri);
        request.Headers.Authorization = BasicHeader.Of(options.Uri!);
        foreach (var (name, values) in options.Headers)
            request.Headers.TryAddWithoutValidation(name, values);
        using var response = await clients.CreateClient(Client).SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        var status = (int)response.StatusCode;
        return status == options.StatusCode ? null : $"unexpected status: {status}";
    }
}
