using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Mirror.Tests.Peers.Elliptics;

/// <summary>
/// A stand-in for Rift, the HTTP front of Elliptics, with an Elliptics of one node in memory behind it. No server that a test could start
/// can be had. It is written from the facts in Rift's source (github.com/reverbrain/rift) and manual (doc.reverbrain.com/rift:rift); curl
/// drives it in <c>RiftStandInTests</c>. It has no cache, no redirects to the nodes (<c>/redirect</c>), no
/// <c>/echo</c>, no <c>/stat</c> and no folders of buckets.
/// </summary>
public sealed class RiftStandIn : IAsyncDisposable
{
    private readonly RiftObjects _objects = new();
    private readonly RiftUploads _uploads;
    private readonly Func<HttpContext, string, Task> _answer;
    private WebApplication? _server;

    private RiftStandIn(RiftRelease release, IEnumerable<RiftBucket>? buckets)
    {
        _uploads = new(_objects);
        var known = buckets is null ? null : new RiftBuckets(buckets);
        _answer = release is RiftRelease.ByQuery
            ? new RiftByQuery(_objects, known, _uploads).AnswerAsync
            : new RiftByPath(_objects, known, _uploads).AnswerAsync;
    }

    /// <summary>The address of the server, with a slash at its end.</summary>
    public Uri Url { get; } = new($"http://127.0.0.1:{Ports.Free()}/");

    public StoreFaults Faults { get; } = new();

    /// <summary>How many objects can be read.</summary>
    public int Count => _objects.Count;

    /// <summary>How many bytes of objects and indexes there may be. What goes beyond is answered as a failure of the nodes: 503.</summary>
    public long Capacity
    {
        set => _objects.Capacity = value;
    }

    /// <summary>
    /// In pieces of how many bytes a buffered upload is written. One of a single piece is there at once or not at all; one of several that
    /// is cut off leaves an object that cannot be read. 10 MiB.
    /// </summary>
    public int BytesPerPiece
    {
        set => _uploads.BytesPerPiece = value;
    }

    /// <param name="buckets">
    /// Null: the server has no buckets. Keys are then in no namespace, whatever the request says, and no request is refused.
    /// </param>
    public static async Task<RiftStandIn> StartAsync(RiftRelease release, IEnumerable<RiftBucket>? buckets = null)
    {
        var rift = new RiftStandIn(release, buckets);
        rift._server = await OwnServer.StartAsync(rift.Url, context => rift.Faults.ApplyAsync(context, rift.RouteAsync));
        return rift;
    }

    public async ValueTask DisposeAsync()
    {
        Faults.End();
        if (_server is not null)
            await _server.DisposeAsync();
    }

    private async Task RouteAsync(HttpContext context)
    {
        context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = null;
        var path = Uri.UnescapeDataString(context.Features.Get<IHttpRequestFeature>()!.RawTarget.Split('?')[0]);
        try
        {
            await _answer(context, path);
        }
        catch (Exception broken) when (broken is not (IOException or OperationCanceledException or BadHttpRequestException)
            && !context.Response.HasStarted)
        {
            // What is wrong with the stand-in shows in the answer. Rift has no 501.
            context.Response.StatusCode = 501;
            await context.Response.WriteAsync(broken.ToString());
        }
    }
}
