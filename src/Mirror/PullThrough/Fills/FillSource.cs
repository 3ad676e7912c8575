using Mirror.Fleet;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>Where the bytes of fills come from: one upstream, or the replica that downloads a blob for all replicas.</summary>
/// <param name="connections">Over how many connections at once a large blob is downloaded (<c>proxy.parallel_ranges</c>).</param>
public sealed class FillSource(UpstreamClient upstream, int connections, ExpectedSizes sizes, ReplicaBlobs replicas, TimeProvider time)
{
    // The limit if neither the body, nor the registry, nor a manifest tells the length. Every known registry tells it.
    private const long MaxUnknownLength = 256 << 20;

    // The expected pace of an upstream from which this server has downloaded nothing lately. An origin that brings less than half of this
    // loses its turn to such an upstream.
    private const long UnknownPace = 8 << 20;

    private static readonly TimeSpan PaceLife = TimeSpan.FromMinutes(1);

    private Measured? _pace;

    public UpstreamClient Upstream => upstream;

    /// <summary>How many bytes a second the last download brought; null if that was more than a minute ago.</summary>
    public long? KnownPace =>
        Volatile.Read(ref _pace) is { } last && time.GetElapsedTime(last.At) < PaceLife ? last.BytesPerSecond : null;

    /// <summary>How many bytes a second a download may be expected to bring.</summary>
    public long ExpectedPace => KnownPace ?? UnknownPace;

    /// <summary>Remembers for a minute how many bytes a second came.</summary>
    public void Remember(long bytesPerSecond) => Volatile.Write(ref _pace, new Measured(bytesPerSecond, time.GetTimestamp()));

    /// <summary>Opens a blob at upstream, to be read in order from an offset to its end.</summary>
    /// <exception cref="UpstreamException">One of the four answers that are not content.</exception>
    public async Task<Content> DownloadAsync(RepositoryName name, Digest digest, long from, CancellationToken stop)
    {
        // Use several connections only if the blob is long enough to keep all of them busy.
        if (connections > 1 && await upstream.HeadBlobAsync(name, digest, null, stop) is { } length
            && length - from > connections * (long)ParallelContent.RangeLength)
            return new ParallelContent(upstream, connections, time, name, digest, from, length);
        var content = await UpstreamContent.OpenAsync(upstream, name, digest, from, null, time, stop);
        try
        {
            if (content.IsWebPage && sizes[name, digest] != content.Length)
                throw new UpstreamUnavailableException($"{upstream.Origin.Authority} sent a web page instead of {digest}.");
            // If the body's length is unknown or contradicts a manifest, either the body will end too early or the manifest is wrong. A
            // HEAD decides.
            if (!content.IsWebPage && (content.Length is null || sizes[name, digest] is { } expected && expected != content.Length)
                && await upstream.HeadBlobAsync(name, digest, null, stop) is { } whole)
                content.Expect(whole);
            return content;
        }
        catch
        {
            await content.DisposeAsync();
            throw;
        }
    }

    /// <summary>Opens a blob at the replica that downloads it, to be read in order. <inheritdoc cref="ReplicaContent.OpenAsync"/></summary>
    public Task<ReplicaContent> FollowAsync(
        Uri replica, RepositoryName name, Digest digest, long from, long? end, CancellationToken stop) =>
        ReplicaContent.OpenAsync(replicas, time, replica, name, digest, from, end, stop);

    /// <summary>Opens a part of a blob for one client: at the replica that downloads it if there is one, else at upstream.</summary>
    /// <param name="end">The offset after the last wanted byte; null for all.</param>
    /// <exception cref="UpstreamException">One of the four answers that are not content.</exception>
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

    /// <summary>How many bytes a blob may have at most: without a limit, an endless body would fill the disk.</summary>
    public long MaxLength(Content content, RepositoryName name, Digest digest) => content.Length ?? sizes[name, digest] ?? MaxUnknownLength;

    private sealed record Measured(long BytesPerSecond, long At);
}
