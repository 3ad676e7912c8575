using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using Mirror.Configuration;
using Mirror.Registry;
using Mirror.Telemetry;

namespace Mirror.Admin;

/// <summary>The steps around every answer of the API: as in <see cref="RegistryPipeline"/>, with the errors of the registry.</summary>
public sealed class AdminPipeline(
    AdminAccess access, ErrorAnswers errors, RequestRecord record, AdminAudit audit, TrustedProxies proxies, RequestMetrics metrics,
    RequestBody bodies, HttpOptions http, TimeProvider time)
{
    private const int MaxBody = 1 << 20;

    /// <summary>Answers one request by <paramref name="next"/>, if the client may make it. Never throws.</summary>
    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        // 1. What is asked for, and where from.
        var started = time.GetTimestamp();
        var request = new RegistryRequest(context, new RegistryRoute(RouteKind.Other, "", ""), isFromReplica: false);
        var body = new CountedBody(context.Response.Body);
        context.Response.Body = body;
        proxies.Apply(context, isFromReplica: false);
        metrics.Started(RouteKind.Other);
        ContentHeaders.SetCommon(context.Response.Headers, http);
        context.Response.Headers.CacheControl = "no-store";
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = MaxBody;
        try
        {
            TransferCodings.RequireKnown(context);

            // 2. Who is the client, and may it? A browser adds a remembered login also for a page of another site.
            if (!HttpMethods.IsGet(context.Request.Method) && OtherSites.IsFromOne(context.Request, http))
                throw new RegistryException(RegistryError.Denied, "a page of another site has sent this request; nothing was done");
            var caller = await access.RequireAsync(request);
            context.Features.Set(caller);

            // 3. The body, before the route reads it: here a client that sends nothing is cut after http.idle_timeout.
            if (HttpMethods.IsPost(context.Request.Method))
            {
                RequireUtf8(context.Request);
                await bodies.BufferAsync(request, MaxBody);
            }

            // 4. The answer, or the error in its place.
            await next(context);
            if (!context.Response.HasStarted && context.Response.StatusCode >= 400)
                throw new RegistryException(
                    context.Response.StatusCode == 405 ? RegistryError.Unsupported : RegistryError.NotFound,
                    "/mirror/v1/openapi.json describes what there is")
                {
                    // The framework names the methods with its 405, and an error clears all headers before it writes its own.
                    Headers = context.Response.Headers.Allow.ToString() is { Length: > 0 } methods ? [("Allow", methods)] : [],
                };
        }
        catch (Exception failure)
        {
            await errors.AnswerAsync(request, failure);
        }
        finally
        {
            // 5. Metrics, trace and logs.
            request.Written = body.Length;
            record.Write(request, time.GetElapsedTime(started));
            audit.Write(request);
        }
    }

    // The framework's reader of JSON throws an exception of no certain kind for an encoding that it does not know.
    private static void RequireUtf8(HttpRequest request)
    {
        if (MediaTypeHeaderValue.TryParse(request.ContentType, out var type) && type.Charset is { HasValue: true } charset
            && !HeaderUtilities.RemoveQuotes(charset).Equals("utf-8", StringComparison.OrdinalIgnoreCase))
            throw new RegistryException(
                new RegistryError("UNSUPPORTED", StatusCodes.Status415UnsupportedMediaType, "unsupported encoding"), "send UTF-8");
    }
}
