using Mirror.Configuration;

namespace Mirror.Health;

/// <summary><see cref="HttpHealthOptions"/></summary>
internal sealed class HttpCheck(HttpHealthOptions options, IHttpClientFactory clients, TimeProvider time) : PatientCheck(options)
{
    /// <summary>The name of the client it uses.</summary>
    public const string Client = "health";

    protected override async Task<string?> WhatIsWrongAsync(CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Head, options.Uri);
        foreach (var (name, values) in options.Headers)
            request.Headers.TryAddWithoutValidation(name, values);
        using var limit = new CancellationTokenSource(LimitOf(options.Timeout), time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        using var response = await clients.CreateClient(Client).SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
        var status = (int)response.StatusCode;
        return status == options.StatusCode ? null : $"unexpected status: {status}";
    }
}
