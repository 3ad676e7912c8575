using System.Text.Json;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Search;

/// <summary>The search of another registry (<c>search.source_index</c>), whose results are added to those of this one.</summary>
public sealed partial class SourceIndex(SearchOptions options, TimeProvider time, ILogger<SourceIndex> log) : IDisposable
{
    private const int MaxAnswer = 2 << 20;
    private const int MaxResults = 1000;
    private const int MaxText = 1000;

    private readonly RareLine _failure = new(time);

    // No login and no header of the client goes there.
    private readonly HttpClient _http = new(new ProxyLogin(new SocketsHttpHandler
    {
        UseCookies = false,
        MaxAutomaticRedirections = 3,
        ConnectCallback = HappyEyeballs.ConnectAsync,
    }))
    {
        Timeout = TimeSpan.FromSeconds(5),
        MaxResponseContentBufferSize = MaxAnswer,
    };

    /// <summary>What the other registry finds; nothing if it does not answer, or if none is configured.</summary>
    public async Task<IReadOnlyList<FoundRepository>> FindAsync(string text, int count, CancellationToken cancellationToken)
    {
        if (options.SourceIndex is not { } source)
            return [];
        try
        {
            var query = $"q={Uri.EscapeDataString(text)}&n={Math.Min(count, MaxResults)}";
            var address = new Uri($"{source.AbsoluteUri.TrimEnd('/')}/v1/search?{query}");
            using var document = JsonDocument.Parse(await _http.GetByteArrayAsync(address, cancellationToken));
            var results = document.RootElement.GetProperty("results").EnumerateArray().Take(MaxResults);
            return [.. results.Select(Read).OfType<FoundRepository>()];
        }
        catch (Exception failure) when (failure is HttpRequestException or JsonException or KeyNotFoundException
            or InvalidOperationException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            if (_failure.IsDue())
                LogAway(source, failure.Message);
            return [];
        }
    }

    public void Dispose() => _http.Dispose();

    private static FoundRepository? Read(JsonElement result) => TextOf(result, "name") is not { Length: > 0 } name
        ? null
        : new FoundRepository(name, TextOf(result, "description") ?? "")
        {
            Stars = result.TryGetProperty("star_count", out var stars) && stars.TryGetInt32(out var count) ? count : null,
            IsOfficial = result.TryGetProperty("is_official", out var official) && official.ValueKind is JsonValueKind.True ? true : null,
        };

    private static string? TextOf(JsonElement result, string key) =>
        result.TryGetProperty(key, out var value) && value.ValueKind is JsonValueKind.String && value.GetString() is { } text
            ? text.Length > MaxText ? text[..MaxText] : text
            : null;

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the search of {Source} (search.source_index) gives no results at the moment; those of this server are answered: {Reason}")]
    private partial void LogAway(Uri source, string reason);
}
