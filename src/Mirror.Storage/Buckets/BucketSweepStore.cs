using System.Runtime.CompilerServices;
using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>
/// A bucket as a sweep sees it. The date of an object is the store's, or that of the last claim of its digest
/// (<see cref="BucketPushProtection"/>).
/// </summary>
/// <param name="scratch">The local folder of spools; see <see cref="BucketOptions.Scratch"/>.</param>
/// <param name="forEvictions">See <see cref="ForEvictions"/>.</param>
public sealed class BucketSweepStore(IBucket bucket, string scratch, TimeProvider time, bool forEvictions = false) : ISweepStore
{
    // A running sweep writes its object again once a minute. One that has not done so for five minutes is dead.
    // Two sweeps at once would do no harm, but do everything twice.
    private static readonly TimeSpan HeartbeatInterval = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan MaxSilence = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan MaxUploadAge = TimeSpan.FromDays(1);

    // The machines of a service have clocks that are set over the network.
    private static readonly TimeSpan SkewOfMachines = TimeSpan.FromSeconds(10);

    private static readonly Lock LastBeginGate = new();
    private static DateTime _lastBegin;

    private readonly BucketPushProtection _claims = new(bucket, time);

    public ISweepStore ForEvictions => new BucketSweepStore(bucket, scratch, time, forEvictions: true);

    public TimeSpan MaxClockSkew => bucket.HasOneClock ? TimeSpan.Zero : SkewOfMachines;

    public async ValueTask<SweepRun?> BeginAsync(CancellationToken cancellationToken)
    {
        // The sweep that began first has the right. The names sort by time, so all processes agree on which that is.
        var folder = forEvictions ? RegistryLayout.Evictions : RegistryLayout.Sweeps;
        var own = $"{folder}/{NextBegin():yyyyMMddHHmmssfff}-{Guid.NewGuid():N}";
        await bucket.PutTextAsync(own, "", cancellationToken);
        var now = (await bucket.FindAsync(own, cancellationToken)
            ?? throw new StoreUnavailableException($"{bucket.Name}{own} was written, but the bucket does not list it.")).Written;
        await foreach (var (path, alive, _) in bucket.ListFolderAsync(folder, cancellationToken))
            if (alive < now - MaxSilence)
                await bucket.DeleteAsync(path, cancellationToken);
            else if (string.CompareOrdinal(path, own) < 0)
            {
                await bucket.DeleteAsync(own, cancellationToken);
                return null;
            }

        var ended = new CancellationTokenSource();
        var heartbeat = BeatAsync(own, ended.Token);
        return new SweepRun(now, async () =>
        {
            await ended.CancelAsync();
            await heartbeat;
            ended.Dispose();
            await bucket.DeleteAsync(own, CancellationToken.None);
        });
    }

    // Later than every other one of this process: two names of one millisecond would sort at random.
    private DateTime NextBegin()
    {
        lock (LastBeginGate)
        {
            var now = time.GetUtcNow().UtcDateTime;
            return _lastBegin = now >= _lastBegin.AddMilliseconds(1) ? now : _lastBegin.AddMilliseconds(1);
        }
    }

    public IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> ListBlobsAsync(
        RepositoryName name, CancellationToken cancellationToken) =>
        ListLinksAsync(algorithm => RegistryLayout.BlobLinks(name, algorithm), cancellationToken);

    public IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> ListManifestsAsync(
        RepositoryName name, CancellationToken cancellationToken) =>
        ListLinksAsync(algorithm => RegistryLayout.ManifestLinks(name, algorithm), cancellationToken);

    public async IAsyncEnumerable<(Digest Digest, long Bytes, DateTimeOffset LastTouched)> ListContentAsync(
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var claims = await _claims.LastClaimsAsync(cancellationToken);
        foreach (var algorithm in Digest.Algorithms)
            await foreach (var (path, written, size) in bucket.ListFolderAsync(RegistryLayout.Blobs(algorithm), cancellationToken))
                if (path.Split('/') is [.., var hex, "data"] && Digest.TryParse($"{algorithm}:{hex}", out var digest))
                    yield return (digest, size, claims(digest) is { } claimed && claimed > written ? claimed : written);
    }

    public async ValueTask<DateTimeOffset?> LastTouchedAsync(Digest digest, CancellationToken cancellationToken) =>
        await bucket.FindAsync(RegistryLayout.BlobData(digest), cancellationToken) is not { } stored ? null
        : await _claims.LastClaimAsync(digest, cancellationToken) is { } claimed && claimed > stored.Written ? claimed
        : stored.Written;

    public ValueTask<long?> SweepContentAsync(Digest digest, DateTimeOffset before, CancellationToken cancellationToken) =>
        _claims.SweepAsync(digest, before, [RegistryLayout.BlobData(digest)], cancellationToken);

    public ValueTask<long?> SweepCopyAsync(
        Digest digest, IEnumerable<RepositoryName> names, DateTimeOffset before, CancellationToken cancellationToken) =>
        _claims.SweepAsync(
            digest, before, [RegistryLayout.BlobData(digest)], cancellationToken,
            [
                .. names.Select(name => new SweptLink(
                    RegistryLayout.LayerLink(name, digest), RegistryLayout.Mark(name, digest, Provenance.Copied),
                    RegistryLayout.Mark(name, digest, Provenance.Pushed))),
            ]);

    public async ValueTask<bool> HasTagLinkAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        await bucket.ReadTextAsync(RegistryLayout.TagCurrent(name, tag), cancellationToken) is not null;

    public async ValueTask<bool> SweepBlobAsync(
        RepositoryName name, Digest digest, DateTimeOffset before, CancellationToken cancellationToken) =>
        await SweepLinkAsync(name, digest, before, [RegistryLayout.LayerLink(name, digest)], cancellationToken);

    public async ValueTask<bool> SweepManifestAsync(
        RepositoryName name, Digest digest, Digest? subject, DateTimeOffset before, CancellationToken cancellationToken)
    {
        List<string> paths = [RegistryLayout.RevisionLink(name, digest), RegistryLayout.RevisionMediaType(name, digest)];
        if (subject is { } referred)
            paths.Add(RegistryLayout.Referrer(name, referred, digest));
        return await SweepLinkAsync(name, digest, before, paths, cancellationToken);
    }

    /// <summary>
    /// Deletes abandoned uploads and spools, and old claims and marks. The result counts neither the bytes of uploads nor claims and marks.
    /// </summary>
    public async ValueTask<(int Files, long Bytes)> SweepLeftoversAsync(
        DateTimeOffset now, bool dryRun, CancellationToken cancellationToken)
    {
        var (count, bytes) = (0, 0L);
        foreach (var algorithm in Digest.Algorithms)
        {
            var spools = OrphanedFiles.Sweep(Path.Combine(scratch, algorithm), now - OrphanedFiles.FillAge, dryRun, cancellationToken);
            (count, bytes) = (count + spools.Files, bytes + spools.Bytes);
            await foreach (var (upload, begun) in bucket.ListUploadsAsync(RegistryLayout.Blobs(algorithm), cancellationToken))
            {
                if (begun >= now - MaxUploadAge)
                    continue;
                if (!dryRun)
                    await upload.AbortAsync(cancellationToken);
                count++;
            }
        }
        if (!dryRun)
            await _claims.ForgetAsync(now, cancellationToken);
        return (count, bytes);
    }

    // The mark of a copy goes before its link, the mark of a push after it: see IProvenanceStore.
    private async ValueTask<bool> SweepLinkAsync(
        RepositoryName name, Digest digest, DateTimeOffset before, List<string> paths, CancellationToken cancellationToken)
    {
        if (!(await bucket.FindAsync(paths[0], cancellationToken) is { } link && link.Written < before))
            return false;
        await bucket.DeleteAsync(RegistryLayout.Mark(name, digest, Provenance.Copied), cancellationToken);
        paths.Add(RegistryLayout.Mark(name, digest, Provenance.Pushed));
        return await _claims.SweepAsync(digest, before, paths, cancellationToken) is not null;
    }

    private async IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> ListLinksAsync(
        Func<string, string> folderOf, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var algorithm in Digest.Algorithms)
            await foreach (var (path, written, _) in bucket.ListFolderAsync(folderOf(algorithm), cancellationToken))
                if (path.Split('/') is [.., var hex, "link"] && Digest.TryParse($"{algorithm}:{hex}", out var digest))
                    yield return (digest, written);
    }

    private async Task BeatAsync(string own, CancellationToken ended)
    {
        while (true)
            try
            {
                await Task.Delay(HeartbeatInterval, time, ended);
                await bucket.PutTextAsync(own, "", ended);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (StoreUnavailableException)
            {
                // The next heartbeat may get through.
            }
    }
}
