using System.Diagnostics;
using Microsoft.AspNetCore.Http.Features;

namespace Mirror.Registry;

/// <summary>
/// A message in a version of HTTP that there is none of is the client's mistake (400). The server below answers it with 505 before any of our
/// code is asked; a 5xx is what alarms are set on, and no client should be able to raise one.
/// </summary>
internal sealed class UnsupportedHttpVersion : IObserver<KeyValuePair<string, object?>>
{
    // Raised once a message was refused and before the refusal is sent.
    private const string Refused = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";

    public static void SubscribeTo(DiagnosticListener server) => server.Subscribe(new UnsupportedHttpVersion(), static name => name == Refused);

    public void OnNext(KeyValuePair<string, object?> value)
    {
        if (value.Value is not IFeatureCollection message
            || message.Get<IHttpResponseFeature>() is not { HasStarted: false, StatusCode: StatusCodes.Status505HttpVersionNotsupported } response)
            return;
        response.StatusCode = StatusCodes.Status400BadRequest;
        response.Headers.Connection = "close";
        response.Headers.ContentLength = 0;
        // Started now, it stays as it is.
        _ = message.Get<IHttpResponseBodyFeature>()?.StartAsync();
    }

    public void OnCompleted()
    {
    }

    public void OnError(Exception error)
    {
    }
}
