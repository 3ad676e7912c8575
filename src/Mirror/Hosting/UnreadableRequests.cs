using System.Diagnostics;
using Microsoft.AspNetCore.Http.Features;
using Mirror.Telemetry;

namespace Mirror.Hosting;

/// <summary>
/// Logs requests that Kestrel refuses before any of our code sees them, such as one with too many headers (431): the access log and the
/// metrics do not have them.
/// </summary>
internal sealed partial class UnreadableRequests(TimeProvider time, ILogger<UnreadableRequests> log)
    : IObserver<KeyValuePair<string, object?>>
{
    private const string Refused = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";

    private readonly RareLine _line = new(time);

    /// <summary>Logs them until the result is disposed.</summary>
    public static IDisposable Report(IServiceProvider services) => services.GetRequiredService<DiagnosticListener>()
        .Subscribe(ActivatorUtilities.CreateInstance<UnreadableRequests>(services), name => name == Refused);

    public void OnNext(KeyValuePair<string, object?> value)
    {
        if (value.Value is IFeatureCollection features
            && features.Get<IBadRequestExceptionFeature>()?.Error is BadHttpRequestException { StatusCode: var status, Message: var reason }
            && _line.IsDue())
            LogRefused($"{features.Get<IHttpConnectionFeature>()?.RemoteIpAddress}", status, reason.TrimEnd('.'));
    }

    public void OnCompleted()
    {
    }

    public void OnError(Exception error)
    {
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "a request of {Client} got {Status}, because it is not valid HTTP or too long: {Reason}. The access log does not have it. If this "
        + "client should work, look at what it sends, and at the proxies between. There is one such line a minute at most")]
    private partial void LogRefused(string client, int status, string reason);
}
