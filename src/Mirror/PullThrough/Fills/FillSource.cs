using System.Collections.Concurrent;
using Mirror.Fleet;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>Where the bytes of fills come from: one upstream, or the replica that downloads a blob for all replicas.</summary>
/// <param name="connections">Over how many connections at once a large blob is downloaded (<c>proxy.parallel_ranges</c>).</param>
/// <param name="retry">Says how long a download waits for the upstream.</param>
public sealed class FillSource(
    UpstreamClient upstream, int connections, ExpectedSizes sizes, ReplicaBlobs replicas, OutageRetry retry, TimeProvider time)
{
    // The limit if neither the body, nor the registry, nor a manifest tells the length. Every known registry tells it.
    private const long MaxUnknownLength = 256 << 20;

    // The expected pace of a repository from which this server has downloaded nothing lately. An origin that brings less than half of this
    // loses its turn to such a repository. An origin with a usual pace keeps its turn: the other one may hang, or send wrong bytes.
    private const long UnknownPace = 2 << 20;

    // The memory for paces is bounded: at this number they are all forgotten.
    private const int MaxPaces = 1000;

    private static readonly TimeSpan PaceLife = TimeSpan.FromMinutes(1);

    // One registry may have several stores behind it, so that one of its repositories hangs and another one is fast.
    private readonly ConcurrentDictionary<RepositoryName, Measured> _paces = new();

    public UpstreamClient Upstream => upstream;

    /// <summary>Says how long a download waits for the upstream.</summary>
    public OutageRetry Retry => retry;

    /// <summary>
    /// How many bytes a second the last download from a repository brought; null if that is unknown, or was more than a minute ago.
    /// </summary>
    public long? KnownPace(RepositoryName name) =>
        _paces.TryGetValue(name, out var last) && time.GetElapsedTime(last.At) < PaceLife ? last.BytesPerSecond : null;

    /// <summary>How many bytes a second a download may be expected to bring.</summary>
    public long ExpectedPace(RepositoryName name) => KnownPace(name) ?? UnknownPace;

    /// <summary>Remembers for a minute how many bytes a second came; with null, that it is unknown.</summary>
    public void Remember(RepositoryName name, long? bytesPerSecond)
    {
        if (_paces.Count >= MaxPaces)
            _paces.Clear();
        if (bytesPerSecond is { } pace)
            _paces[name] = new Measured(pace, time.GetTimestamp());
        else
            _paces.TryRemove(name, out _);
    }

    /// <summary>Opens a blob at upstream, to be read in order from an offset to its end.</summary>
    /// <param name="cut">Is called before each pause between attempts, after upstream has cut the bytes.</param>
    /// <exception cref="UpstreamException">Upstream lacks the blob, denies it, limits requests (429) or is unavailable: see the
    /// subclasses.</exception>
    public async Task<Content> DownloadAsync(RepositoryName name, Digest digest, long from, Action cut, CancellationToken stop)
    {
        // Use several connections only if the blob is long enough to keep all of them busy.
        if (connections > 1 && await LengthAsync(name, digest, stop) is { } length
            && length - from > connections * (long)ParallelContent.RangeLength)
            return new ParallelContent(upstream, connections, time, name, digest, from, length, cut);
        var content = await UpstreamContent.OpenAsync(upstream, name, digest, from, null, time, stop, cut);
        try
        {
            // Do not mix a page with bytes that an earlier answer brought.
            if (from > 0 && MayBePage(content, name, digest))
                throw new UpstreamUnavailableException($"{upstream.Origin.Authority} sent a web page instead of the rest of {digest}.");
            // If the body's length is unknown or contradicts a manifest, either the body will end too early or the manifest is wrong. A
            // HEAD decides.
            if (!content.IsWebPage && (content.Length is null || sizes[name, digest] is { } expected && expected != content.Length)
                && await LengthAsync(name, digest, stop) is { } whole)
                content.Expect(whole);
            return content;
        }
        catch
        {
            await content.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc cref="UpstreamClient.HeadBlobAsync"/>
    public Task<long?> HeadAsync(RepositoryName name, Digest digest, CancellationToken stop) =>
        upstream.HeadBlobAsync(name, digest, sizes[name, digest], stop);

    // Null also where only the bytes can tell.
    private async Task<long?> LengthAsync(RepositoryName name, Digest digest, CancellationToken stop)
    {
        try
        {
            return await upstream.HeadBlobAsync(name, digest, null, stop);
        }
        catch (UpstreamUnavailableException page) when (page.IsWebPage)
        {
            return null;
        }
    }

    /// <summary>Opens a blob at the replica that downloads it, to be read in order. <inheritdoc cref="ReplicaContent.OpenAsync"/></summary>
    public Task<ReplicaContent> FollowAsync(
        Uri replica, RepositoryName name, Digest digest, long from, long? end, CancellationToken stop) =>
        ReplicaContent.OpenAsync(replicas, time, replica, name, digest, from, end, stop);

    /// <summary>Opens a part of a blob for one client: at the replica that downloads it if there is one, else at upstream.</summary>
    /// <param name="end">The offset after the last wanted byte; null for all.</param>
    /// <exception cref="UpstreamException">Upstream lacks the blob, denies it, limits requests (429) or is unavailable: see the
    /// subclasses.</exception>
    public async Task<Content> OpenRangeAsync(
        Uri? replica, RepositoryName name, Digest digest, long from, long? end, CancellationToken stop)
    {
        try
        {
            if (replica is not null)
                return await FollowAsync(replica, name, digest, from, end, stop);
        }
        catch (ReplicaLostException)
        {
            // Ask upstream.
        }
        return await UpstreamContent.OpenAsync(upstream, name, digest, from, end, time, stop);
    }

    /// <summary>
    /// Whether a body may be a login page and not the blob: upstream labels it as an HTML page, and no manifest tells the same length.
    /// Then only its digest can tell.
    /// </summary>
    public bool MayBePage(Content content, RepositoryName name, Digest digest) =>
        content is UpstreamContent { IsWebPage: true } && (content.Length is not { } length || sizes[name, digest] != length);

    /// <summary>How many bytes a blob may have at most: without a limit, an endless body would fill the disk.</summary>
    public long MaxLength(Content content, RepositoryName name, Digest digest) => content.Length ?? sizes[name, digest] ?? MaxUnknownLength;

    private sealed record Measured(long BytesPerSecond, long At);
}
