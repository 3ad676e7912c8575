using System.Diagnostics;
using Microsoft.AspNetCore.Http.Features;

namespace Mirror.Registry;

/// <summary>
/// Answers a request with an unknown version of HTTP with 400, since it is the client's mistake. Kestrel answers it with 505 before any of
/// our code runs. Operators set alarms on 5xx, and no client should be able to raise one.
/// </summary>
internal sealed class UnsupportedHttpVersion : IObserver<KeyValuePair<string, object?>>
{
    // Kestrel raises it after it has refused a request and before it sends the answer.
    private const string Refused = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";

    private const int UnknownVersion = StatusCodes.Status505HttpVersionNotsupported;

    public static void SubscribeTo(DiagnosticListener server) =>
        server.Subscribe(new UnsupportedHttpVersion(), static name => name == Refused);

    public void OnNext(KeyValuePair<string, object?> value)
    {
        if (value.Value is not IFeatureCollection message
            || message.Get<IHttpResponseFeature>() is not { HasStarted: false, StatusCode: UnknownVersion } response)
            return;
        response.StatusCode = StatusCodes.Status400BadRequest;
        response.Headers.Connection = "close";
        response.Headers.ContentLength = 0;
        // After the start Kestrel does not change it.
        _ = message.Get<IHttpResponseBodyFeature>()?.StartAsync();
    }

    public void OnCompleted()
    {
    }

    public void OnError(Exception error)
    {
    }
}
