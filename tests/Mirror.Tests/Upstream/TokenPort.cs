using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Mirror.Tests.Upstream;

/// <summary>The token service: what <c>auth.docker.io</c> answers.</summary>
internal static class TokenPort
{
    internal static async Task AnswerAsync(HttpContext context, ScriptedHub hub)
    {
        if (!HttpMethods.IsGet(context.Request.Method) || context.Request.Path != "/token")
        {
            context.Response.StatusCode = 404;
            return;
        }
        var authorization = context.Request.Headers.Authorization.ToString();
        if (authorization.Length > 0 && authorization != Expected(hub))
        {
            context.Response.StatusCode = 401;
            await context.Response.WriteAsJsonAsync(new { details = "incorrect username or password" }, context.RequestAborted);
            return;
        }

        // Less may be granted than was asked for; the answer is 200 all the same, and the registry refuses later.
        var asked = context.Request.Query["scope"].Where(s => s is not null).SelectMany(s => s!.Split(' ')).ToList();
        var granted = asked.Where(s => authorization.Length > 0 || !hub.Private.Contains(s.Split(':').ElementAtOrDefault(1) ?? ""));
        var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        hub.Tokens[token] = string.Join(' ', granted);
        hub.Log.Issued(string.Join(' ', asked));
        var reply = new Dictionary<string, object>
        {
            ["token"] = token,
            ["access_token"] = token,
            ["issued_at"] = TimeProvider.System.GetUtcNow().UtcDateTime,
        };
        if (hub.TokenLifetime is { } seconds)
            reply["expires_in"] = seconds;
        await context.Response.WriteAsJsonAsync(reply, context.RequestAborted);
    }

    private static string? Expected(ScriptedHub hub) =>
        hub.Account is var (user, password) ? "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{password}")) : null;
}
