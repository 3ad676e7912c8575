using System.Collections.Concurrent;
using System.Threading.Channels;
using Mirror.Configuration;
using Mirror.Limits;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// Completes images (<c>proxy.complete</c>). A client that has an image's base layers already never asks for them, and the next client
/// would fail without upstream. So when a client has asked for a layer of an image, the right to its other blobs is proved in the
/// background by one HEAD each, and blobs that are missing are downloaded where the setting says so. A client that only looks at a manifest
/// causes nothing.
/// </summary>
public sealed partial class ImageCompletion : IDisposable
{
    // Clients choose the images. What is forgotten is completed by a later pull, or never.
    private const int MaxPending = 20_000;
    private const int MaxQueued = 1_000;
    // A download in the background waits for the others, looks again after the first time, and starts after the second.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan MaxPatience = TimeSpan.FromMinutes(10);

    private readonly ProxyOptions _proxy;
    private readonly MirroredBlobs _blobs;
    private readonly UpstreamClient _upstream;
    private readonly TimeProvider _time;
    private readonly ILogger<ImageCompletion> _log;
    private readonly CancellationTokenSource _stop;
    private readonly Channel<Image> _queue = Channel.CreateBounded<Image>(
        new BoundedChannelOptions(MaxQueued) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    // The blobs of images that no client has asked for a layer of.
    private ConcurrentDictionary<(RepositoryName, Digest), Image> _pending = new();
    private volatile bool _anyPending;
    private int _isRunning;

    public ImageCompletion(
        MirroredBlobs blobs, UpstreamClient upstream, ProxyOptions proxy, IHostApplicationLifetime lifetime, TimeProvider time,
        ILogger<ImageCompletion> log)
    {
        (_proxy, _blobs, _upstream, _time, _log) = (proxy, blobs, upstream, time, log);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(lifetime.ApplicationStopping);
    }

    /// <summary>A manifest was stored for a client.</summary>
    public void Stored(RepositoryName name, Manifest manifest)
    {
        if (_proxy.Complete is CompleteImages.Off || MediaTypes.IsIndex(manifest.Descriptor.MediaType))
            return;
        if (ManifestDocument.Read(manifest.Bytes.Span) is not { } document)
            return;
        var image = new Image(name, [.. document.Blobs.Where(blob => !blob.IsElsewhere).Select(blob => blob.Digest).Distinct()]);
        var pending = _pending;
        if (pending.Count + image.Blobs.Length > MaxPending)
            _pending = pending = new();
        foreach (var blob in image.Blobs)
            pending[(name, blob)] = image;
        _anyPending = true;
    }

    /// <summary>A client asks for a blob.</summary>
    public void Asked(RepositoryName name, Digest digest)
    {
        if (!_anyPending || !_pending.TryRemove((name, digest), out var image))
            return;
        foreach (var blob in image.Blobs)
            _pending.TryRemove(new((name, blob), image));
        _queue.Writer.TryWrite(image with { As = ActingClient.Current });
        // Nothing of this request goes with the work for all the others.
        if (Interlocked.Exchange(ref _isRunning, 1) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(static completion => _ = completion.RunAsync(), this, preferLocal: false);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            await foreach (var image in _queue.Reader.ReadAllAsync(_stop.Token))
                await CompleteAsync(image, _stop.Token);
        }
        catch (OperationCanceledException)
        {
            // The server stops.
        }
    }

    private async Task CompleteAsync(Image image, CancellationToken stop)
    {
        var (linked, fetched) = (0, 0);
        ActingClient.Current = image.As;
        try
        {
            foreach (var blob in image.Blobs)
            {
                // The last pulls of a limit are for clients.
                if (_upstream.HasFewPullsLeft)
                    return;
                if (await _blobs.LinkStoredAsync(image.Name, blob, stop))
                    linked++;
                else if (_proxy.Complete is CompleteImages.Images)
                {
                    await WaitForClientsAsync(stop);
                    if (await _blobs.StartDownloadAsync(image.Name, blob, stop))
                        fetched++;
                }
            }
        }
        catch (Exception failure) when (
            failure is UpstreamException or BusyException or IOException or UnauthorizedAccessException)
        {
            LogNotCompleted(image.Name.ToString(), failure.Message);
        }
        if (linked + fetched > 0)
            LogCompleted(image.Name.ToString(), linked, fetched);
    }

    // Until no download is running, nor is about to, but not for ever: some clients take hours.
    private async Task WaitForClientsAsync(CancellationToken stop)
    {
        for (var since = _time.GetTimestamp(); _blobs.AreDownloading && _time.GetElapsedTime(since) < MaxPatience;)
            await Task.Delay(Patience, _time, stop);
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "completed an image of {Name}: the right to {Linked} stored blobs was proved, the download of {Fetched} missing blobs was started")]
    private partial void LogCompleted(string name, int linked, int fetched);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "an image of {Name} is not complete: {Reason} The next pull of a new layer of it tries again")]
    private partial void LogNotCompleted(string name, string reason);

    // As is the client with whose login upstream is asked; null for the mirror's own.
    private sealed record Image(RepositoryName Name, Digest[] Blobs, ActingClient? As = null);
}
