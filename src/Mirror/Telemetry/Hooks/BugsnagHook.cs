using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Telemetry.Hooks;

/// <summary>Reports lines of the log to Bugsnag by its notifying interface, payload version 4.</summary>
internal sealed class BugsnagHook : IHookTarget
{
    private const string PayloadVersion = "4";
    private const int MaxFrames = 100;

    private readonly BugsnagOptions _options;
    private readonly HttpClient _http = new(new ProxyLogin(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        ConnectCallback = HappyEyeballs.ConnectAsync,
    }))
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    /// <param name="options">With a key.</param>
    public BugsnagHook(BugsnagOptions options) => _options = options;

    public string Name => "bugsnag";

    public async Task SendAsync(HookLine line, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, _options.Endpoint)
        {
            Content = new StringContent(Report(line).ToJsonString()),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Add("Bugsnag-Api-Key", _options.ApiKey);
        request.Headers.Add("Bugsnag-Payload-Version", PayloadVersion);
        request.Headers.Add("Bugsnag-Sent-At", line.Time.UtcDateTime.ToString("O"));
        using var answer = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (!answer.IsSuccessStatusCode)
            throw new HttpRequestException($"Bugsnag answered {(int)answer.StatusCode}", null, answer.StatusCode);
    }

    public void Dispose() => _http.Dispose();

    private JsonObject Report(HookLine line) => new()
    {
        ["apiKey"] = _options.ApiKey,
        ["notifier"] = new JsonObject { ["name"] = "mirror", ["version"] = Build.Version, ["url"] = "https://docs.bugsnag.com/" },
        ["events"] = new JsonArray(new JsonObject
        {
            ["payloadVersion"] = PayloadVersion,
            ["exceptions"] = new JsonArray(new JsonObject
            {
                ["errorClass"] = line.Exception?.GetType().FullName ?? "log",
                ["message"] = line.Exception is { } thrown ? HookLine.Harmless(thrown.Message) : line.Message,
                ["stacktrace"] = Frames(line.Exception),
            }),
            ["context"] = line.Message,
            ["severity"] = line.Level >= LogLevel.Error ? "error" : "warning",
            ["unhandled"] = line.Level >= LogLevel.Critical,
            ["app"] = new JsonObject { ["releaseStage"] = _options.ReleaseStage, ["version"] = Build.Version },
            ["device"] = new JsonObject { ["hostname"] = Environment.MachineName },
            ["metaData"] = new JsonObject
            {
                ["fields"] = new JsonObject(
                    line.Fields.Select(field => KeyValuePair.Create(field.Key, (JsonNode?)JsonValue.Create(field.Value)))),
            },
        }),
    };

    private static JsonArray Frames(Exception? exception) => exception is null ? [] : new JsonArray(
    [
        .. new StackTrace(exception, fNeedFileInfo: true).GetFrames().Take(MaxFrames).Select(frame => new JsonObject
        {
            ["method"] = $"{frame.GetMethod()?.DeclaringType?.FullName}.{frame.GetMethod()?.Name}",
            ["file"] = Path.GetFileName(frame.GetFileName()) ?? "",
            ["lineNumber"] = frame.GetFileLineNumber(),
            ["inProject"] = frame.GetMethod()?.DeclaringType?.Namespace?.StartsWith("Mirror", StringComparison.Ordinal) == true,
        }),
    ]);
}
