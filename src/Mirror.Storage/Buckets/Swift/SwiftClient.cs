using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Mirror.Storage.Buckets.OpenStack;

namespace Mirror.Storage.Buckets.Swift;

/// <summary>Sends requests to an account of Swift.</summary>
internal sealed class SwiftClient(SwiftOptions options, StoreClock clock)
    : OpenStackClient(options, OpenStackService.ObjectStore, clock)
{
    /// <summary>Sends a request, and ignores the body of the answer.</summary>
    /// <returns>The headers of the answer.</returns>
    /// <inheritdoc cref="OpenStackClient.SendAsync" path="/exception"/>
    public async Task<SwiftHeaders> CallAsync(
        HttpMethod method, string path, Action<HttpRequestMessage>? prepare, CancellationToken cancellationToken)
    {
        using var answer = await SendAsync(method, path, prepare, cancellationToken);
        return new(answer);
    }

    /// <summary>Writes an object. Swift answers 202 if a later request wrote or deleted the same object meanwhile.</summary>
    /// <exception cref="IOException">The answer is a success, and not one with which Swift confirms a write.</exception>
    /// <inheritdoc cref="OpenStackClient.SendAsync" path="/exception"/>
    public async Task<bool> PutAsync(string path, Action<HttpRequestMessage> prepare, CancellationToken cancellationToken)
    {
        using var answer = await SendAsync(HttpMethod.Put, path, prepare, cancellationToken);
        return answer.StatusCode is HttpStatusCode.Created
            || answer.StatusCode is HttpStatusCode.Accepted && answer.Headers.Contains("X-Trans-Id")
            ? true
            : throw new IOException($"PUT is answered {(int)answer.StatusCode}, and not 201: see what is in front of the store");
    }

    /// <summary>Deletes an object. It stays if Swift answers 409: another request wrote it after the deletion began.</summary>
    /// <returns>Null if it stays.</returns>
    /// <inheritdoc cref="OpenStackClient.SendAsync" path="/exception"/>
    public async Task<SwiftHeaders?> DeleteAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            return await CallAsync(HttpMethod.Delete, path, null, cancellationToken);
        }
        catch (OpenStackException newer) when (newer.Status is HttpStatusCode.Conflict)
        {
            return null;
        }
    }

    /// <summary>Swift's list of its abilities; null if it gives none.</summary>
    public async Task<JsonDocument?> InfoAsync(CancellationToken cancellationToken)
    {
        var account = await EndpointAsync(cancellationToken);
        using var answer = await Http.GetAsync(
            new Uri(account, "/info"), HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (answer.StatusCode is not HttpStatusCode.OK)
            return null;
        await answer.Content.LoadIntoBufferAsync(MaxDocument, cancellationToken);
        return JsonDocument.Parse(await answer.Content.ReadAsByteArrayAsync(cancellationToken));
    }
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
