using System.Text;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;

namespace Mirror.Tests.Upstream;

/// <summary>An answer given instead of the hub's own, see <see cref="ScriptedHub.Script(Asked, Answer, int)"/>.</summary>
public abstract class Answer
{
    /// <summary>A status with the registry's JSON error body.</summary>
    public static Answer Status(int status, string code = "UNKNOWN", string? retryAfter = null) =>
        new Fixed(status, "application/json", $$"""{"errors":[{"code":"{{code}}","message":"scripted"}]}""", retryAfter);

    /// <summary>The pull limit is used up.</summary>
    public static Answer TooManyRequests(string? retryAfter = null) => Status(429, "TOOMANYREQUESTS", retryAfter);

    /// <summary>The per-address abuse limit, which answers in plain text.</summary>
    public static Answer TooManyRequestsInPlainText { get; } = new Fixed(429, "text/plain", "Too Many Requests\n", null);

    /// <summary>Not there.</summary>
    public static Answer NotFound { get; } = Status(404, "MANIFEST_UNKNOWN");

    /// <summary>An HTML page where a registry's answer is due.</summary>
    public static Answer Html(int status = 200) =>
        new Fixed(status, "text/html", "<html><body>Please try again later.</body></html>", null);

    /// <summary>401 however good the token is: what Docker Hub says of a repository that is private or does not exist.</summary>
    public static Answer RefusedDespiteToken { get; } = new Refused();

    /// <summary>The connection is reset without an answer.</summary>
    public static Answer Reset { get; } = new Dropped();

    /// <summary>Leads elsewhere.</summary>
    public static Answer Redirect(string location) => By(context =>
    {
        context.Response.StatusCode = 307;
        context.Response.Headers.Location = location;
        return Task.CompletedTask;
    });

    /// <summary>Whatever the test writes; a client that hangs up ends it.</summary>
    public static Answer By(Func<HttpContext, Task> write) => new Written(write);

    /// <summary>The hub's own answer, once the gate is open.</summary>
    public static Answer HeldBy(Gate gate) => new Held(gate);

    /// <summary>Runs something of the test's at the moment the request has arrived, then the hub answers.</summary>
    public static Answer After(Action act) => new Acted(_ => act());

    /// <summary>Runs something of the test's with the request, then the hub answers.</summary>
    public static Answer Noted(Action<HttpContext> act) => new Acted(act);

    /// <summary>True where the request has been answered, false where the hub shall go on.</summary>
    internal abstract Task<bool> GiveAsync(HttpContext context, ScriptedHub hub);

    /// <summary>Ends the connection with RST, so that no client takes it for an end.</summary>
    internal static void ResetConnection(HttpContext context)
    {
        if (context.Features.Get<IConnectionSocketFeature>() is { Socket: { } socket })
            socket.LingerState = new(true, 0);
        context.Abort();
    }

    private sealed class Fixed(int status, string type, string body, string? retryAfter) : Answer
    {
        internal override async Task<bool> GiveAsync(HttpContext context, ScriptedHub hub)
        {
            context.Response.StatusCode = status;
            context.Response.ContentType = type;
            context.Response.ContentLength = Encoding.UTF8.GetByteCount(body);
            if (retryAfter is not null)
                context.Response.Headers.RetryAfter = retryAfter;
            if (!HttpMethods.IsHead(context.Request.Method))
                await context.Response.WriteAsync(body, context.RequestAborted);
            return true;
        }
    }

    private sealed class Written(Func<HttpContext, Task> write) : Answer
    {
        internal override async Task<bool> GiveAsync(HttpContext context, ScriptedHub hub)
        {
            await write(context);
            return true;
        }
    }

    private sealed class Refused : Answer
    {
        internal override async Task<bool> GiveAsync(HttpContext context, ScriptedHub hub)
        {
            await RegistryPort.ChallengeAsync(context, hub, RepositoryOf(context.Request.Path), "insufficient_scope");
            return true;
        }

        private static string RepositoryOf(string path) => RegistryPort.TryParse(path, out _, out var repository, out _) ? repository : "";
    }

    private sealed class Dropped : Answer
    {
        internal override Task<bool> GiveAsync(HttpContext context, ScriptedHub hub)
        {
            ResetConnection(context);
            return Task.FromResult(true);
        }
    }

    private sealed class Held(Gate gate) : Answer
    {
        internal override async Task<bool> GiveAsync(HttpContext context, ScriptedHub hub)
        {
            await gate.PassAsync(context.RequestAborted);
            return false;
        }
    }

    private sealed class Acted(Action<HttpContext> act) : Answer
    {
        internal override Task<bool> GiveAsync(HttpContext context, ScriptedHub hub)
        {
            act(context);
            return Task.FromResult(false);
        }
    }
}
