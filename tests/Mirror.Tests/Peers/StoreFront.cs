using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Mirror.Tests.Peers;

/// <summary>A server before a real store. It passes every request on as it is, unless a test orders a fault.</summary>
public sealed class StoreFront : IAsyncDisposable
{
    // What belongs to one connection, and what the server has already answered.
    private static readonly string[] NotPassedOn = ["Connection", "Keep-Alive", "Transfer-Encoding", "Expect"];

    private readonly string _store;
    private readonly Func<HttpContext, int, Task> _refuse;
    private WebApplication? _server;

    private StoreFront(Uri store, Func<HttpContext, int, Task> refuse, StoreFaults faults) =>
        (_store, _refuse, Faults) = (store.GetLeftPart(UriPartial.Authority), refuse, faults);

    /// <summary>Its address, without a path.</summary>
    public Uri Url { get; } = new($"http://127.0.0.1:{Ports.Free()}");

    public StoreFaults Faults { get; }

    /// <param name="refuse">Writes the store's own answer for a status of a fault.</param>
    /// <param name="faults">The faults of another front, which this one shares; null for its own.</param>
    public static async Task<StoreFront> StartAsync(Uri store, Func<HttpContext, int, Task> refuse, StoreFaults? faults = null)
    {
        var front = new StoreFront(store, refuse, faults ?? new());
        await front.ListenAsync();
        return front;
    }

    /// <summary>From now on connections are refused, and those that are open end.</summary>
    public async Task RefuseAsync()
    {
        if (_server is null)
            return;
        await _server.StopAsync(new CancellationToken(canceled: true));
        await _server.DisposeAsync();
        _server = null;
    }

    /// <summary>Ends what <see cref="RefuseAsync"/> began.</summary>
    public async Task ListenAsync() =>
        _server ??= await OwnServer.StartAsync(Url, context => Faults.ApplyAsync(context, PassOnAsync, _refuse));

    public async ValueTask DisposeAsync()
    {
        Faults.End();
        await RefuseAsync();
    }

    private async Task PassOnAsync(HttpContext context)
    {
        context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = null;
        try
        {
            using var request = RequestOf(context);
            using var answer = await Http.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, context.RequestAborted);
            context.Response.StatusCode = (int)answer.StatusCode;
            foreach (var (name, values) in answer.Headers.NonValidated.Concat(answer.Content.Headers.NonValidated))
                if (!NotPassedOn.Contains(name, StringComparer.OrdinalIgnoreCase))
                    context.Response.Headers[name] = values.ToArray();
            await answer.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
        }
        catch (Exception cut) when (cut is HttpRequestException or IOException or OperationCanceledException)
        {
            context.Abort();
        }
    }

    private HttpRequestMessage RequestOf(HttpContext context)
    {
        // Not a byte of the address changes: signatures are about it.
        var target = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
        var request = new HttpRequestMessage(
            new(context.Request.Method),
            new Uri(_store + target, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        if (context.Request.ContentLength is 0)
            request.Content = new ByteArrayContent([]);
        else if (context.Request.ContentLength is not null || context.Request.Headers.TransferEncoding.Count > 0)
            request.Content = new StreamContent(context.Request.Body);
        foreach (var (name, values) in context.Request.Headers)
            if (!NotPassedOn.Contains(name, StringComparer.OrdinalIgnoreCase)
                && !request.Headers.TryAddWithoutValidation(name, values.ToArray()))
                request.Content?.Headers.TryAddWithoutValidation(name, values.ToArray());
        return request;
    }
}
