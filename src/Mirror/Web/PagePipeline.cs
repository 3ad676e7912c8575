using Microsoft.AspNetCore.Http.Features;
using Mirror.Admin;
using Mirror.Configuration;
using Mirror.Registry;
using Mirror.Telemetry;
using Mirror.Web.Pages;

namespace Mirror.Web;

/// <summary>The steps around every page: as in <see cref="RegistryPipeline"/>, with errors as pages.</summary>
internal sealed partial class PagePipeline(
    PageAccess access, PageRoutes routes, PageRenderer renderer, ErrorAnswers errors, RequestRecord record, AdminAudit audit,
    TrustedProxies proxies, RequestMetrics metrics, HttpOptions http, TimeProvider time, ILogger<PagePipeline> log)
{
    private const string Policy =
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
        + "base-uri 'none'; frame-ancestors 'none'";

    private readonly string _base = BaseOf(http);

    /// <summary>The path of the pages, without a slash at its end.</summary>
    public static string BaseOf(HttpOptions http) => $"{http.Prefix.TrimEnd('/')}/ui";

    /// <summary>Answers one request. Never throws.</summary>
    public async Task InvokeAsync(HttpContext context)
    {
        // 1. What is asked for, and where from.
        var started = time.GetTimestamp();
        var request = new RegistryRequest(context, new RegistryRoute(RouteKind.Other, "", ""), isFromReplica: false);
        var body = new CountedBody(context.Response.Body);
        context.Response.Body = body;
        proxies.Apply(context, isFromReplica: false);
        metrics.Started(RouteKind.Other);
        SetHeaders(context.Response.Headers);
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = PageActions.MaxForm;
        var path = context.Request.Path.Value![_base.Length..];
        try
        {
            TransferCodings.RequireKnown(context);
            if (path.Length == 0)
                context.Response.Redirect($"{_base}/", permanent: false);
            // 2. What is no secret: the style sheet needs no login.
            else if (!path.StartsWith("/assets/", StringComparison.Ordinal)
                || !await PageAssets.TrySendAsync(context, path["/assets/".Length..]))
                await AnswerAsync(request, path[1..]);
        }
        catch (Exception failure)
        {
            await AnswerAsync(request, path, failure);
        }
        finally
        {
            // 4. Metrics, trace and logs.
            request.Written = body.Length;
            record.Write(request, time.GetElapsedTime(started));
            audit.Write(request);
        }
    }

    // 3. Who is the client, and the page for it.
    private async Task AnswerAsync(RegistryRequest request, string page)
    {
        var viewer = await access.ViewerAsync(request, isLogin: page is "login" or "logout");
        request.Http.Features.Set(viewer);
        if (page is not ("login" or "logout"))
            await access.RequireAsync(request, viewer);
        await routes.AnswerAsync(request, FrameOf(request.Http, page, viewer));
    }

    private async Task AnswerAsync(RegistryRequest request, string path, Exception failure)
    {
        var context = request.Http;
        if (ErrorAnswers.IsClientGone(request, failure))
        {
            metrics.Aborted();
            return;
        }
        var failed = request.Failed = errors.Explain(failure, isRead: context.Request.Method is "GET" or "HEAD");
        if (failed.Error == RegistryError.Unknown)
            LogUnexpected(context.Request.Path, failure);
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }
        // With a body that is not read to its end, the connection has to close.
        var connection = context.Response.Headers.Connection;
        context.Response.Clear();
        context.Response.StatusCode = failed.Error.Status;
        try
        {
            SetHeaders(context.Response.Headers);
            context.Response.Headers.Connection = connection;
            var frame = FrameOf(context, "error", context.Features.Get<Viewer>() ?? Viewer.Unknown);
            // A browser knows Basic. What it does not know, the form is for.
            var challenge = (failure as RegistryException)?.Headers.FirstOrDefault(header => header.Name == "WWW-Authenticate").Value;
            if (failed.Error.Status == 401 && challenge?.StartsWith("Basic", StringComparison.Ordinal) == true)
                context.Response.Headers.WWWAuthenticate = challenge;
            else if (failed.Error.Status == 401 && HttpMethods.IsGet(context.Request.Method) && path != "/live/events")
            {
                context.Response.Redirect(frame.To("login", ("to", $"{path.TrimStart('/')}{context.Request.QueryString}")));
                return;
            }
            await renderer.WriteAsync<ErrorPage>(
                context, frame, new ErrorModel(failed.Error.Status, failed.Error.Message, failed.Detail));
        }
        catch (Exception unwritten)
        {
            errors.EndUnwritten(context, unwritten);
        }
    }

    private Frame FrameOf(HttpContext context, string page, Viewer viewer) =>
        new(_base, page, viewer, access.HasUsers || access.TakesToken(context));

    private void SetHeaders(IHeaderDictionary headers)
    {
        ContentHeaders.SetCommon(headers, http);
        headers.ContentSecurityPolicy = Policy;
        headers.CacheControl = "no-store";
        headers["Referrer-Policy"] = "same-origin";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "unexpected failure while answering {Path}")]
    private partial void LogUnexpected(string path, Exception failure);
}
