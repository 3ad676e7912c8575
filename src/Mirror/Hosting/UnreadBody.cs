using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Mirror.Hosting;

/// <summary>
/// Reads what is left of a request's body after its answer, and lets no request follow on the connection where that fails (RFC 9112, 9.3).
/// Kestrel does the same, but for a client that has closed its side meanwhile: it takes the unread body for the next request then. A proxy
/// that asks for passwords closes its side when its client leaves, so that client could send requests past the passwords.
/// </summary>
internal static class UnreadBody
{
    // What Kestrel allows.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    public static RequestDelegate ReadToEnd(RequestDelegate next) => context =>
        context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true
            && !HttpProtocol.IsHttp2(context.Request.Protocol)
            ? AnswerAndReadAsync(next, context)
            : next(context);

    private static async Task AnswerAndReadAsync(RequestDelegate next, HttpContext context)
    {
        // The code of the answer may put another body in its place.
        var body = context.Request.BodyReader;
        var isSettled = false;
        try
        {
            await next(context);
            isSettled = context.Response.Headers.Connection == "close" || await IsReadToEndAsync(context, body);
        }
        finally
        {
            if (!isSettled)
                context.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
        }
    }

    private static async Task<bool> IsReadToEndAsync(HttpContext context, PipeReader body)
    {
        try
        {
            await context.Response.CompleteAsync();
            // Kestrel takes a read that a token cancels for one that still runs.
            using var patience = new CancellationTokenSource(Limit);
            await using var limit = patience.Token.Register(body.CancelPendingRead);
            while (true)
            {
                var read = await body.ReadAsync(CancellationToken.None);
                body.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted || read.IsCanceled)
                    return read.IsCompleted;
            }
        }
        catch (Exception broken) when (broken is IOException or OperationCanceledException or InvalidOperationException)
        {
            // The client has left. Kestrel would read on, and log an error.
            if (broken is ConnectionResetException || context.RequestAborted.IsCancellationRequested)
                context.Abort();
            return false;
        }
    }
}
