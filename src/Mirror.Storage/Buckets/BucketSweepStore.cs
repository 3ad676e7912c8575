using System.Runtime.CompilerServices;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>
/// The bucket, as a sweep sees it: the age of an object is when the store says it was written, or when its digest was last claimed (<see cref="BucketPushProtection"/>).
/// </summary>
public sealed class BucketSweepStore(S3Bucket bucket) : ISweepStore
{
    // A sweep says once in a while that it still runs; one that has not for longer is dead. Two at once would do no harm, but everything twice.
    private static readonly TimeSpan Sign = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan UploadAge = TimeSpan.FromDays(1);

    private readonly BucketPushProtection _claims = new(bucket);

    public async ValueTask<SweepTurn?> BeginAsync(CancellationToken cancellationToken)
    {
        // The earlier begun has the right, which names that sort by time tell everyone alike.
        var own = $"{RegistryLayout.Sweeps}/{bucket.Time.GetUtcNow():yyyyMMddHHmmssfff}-{Guid.NewGuid():N}";
        await bucket.Writer.PutTextAsync(own, "", cancellationToken);
        var now = (await bucket.FindAsync(own, cancellationToken) ?? throw new StoreUnavailableException($"{bucket.Name}{own} is not there though it was written.")).Written;
        await foreach (var (path, signed, _) in bucket.ListAsync(RegistryLayout.Sweeps, cancellationToken))
            if (signed < now - Silence)
                await bucket.DeleteAsync(path, cancellationToken);
            else if (string.CompareOrdinal(path, own) < 0)
            {
                await bucket.DeleteAsync(own, cancellationToken);
                return null;
            }

        var ended = new CancellationTokenSource();
        var signs = SignAsync(own, ended.Token);
        return new SweepTurn(now, async () =>
        {
            await ended.CancelAsync();
            await signs;
            ended.Dispose();
            await bucket.DeleteAsync(own, CancellationToken.None);
        });
    }

    public IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> ListBlobsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        ListLinksAsync(algorithm => RegistryLayout.BlobLinks(name, algorithm), cancellationToken);

    public IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> ListManifestsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        ListLinksAsync(algorithm => RegistryLayout.ManifestLinks(name, algorithm), cancellationToken);

    public async ValueTask<DateTimeOffset?> LastTouchedAsync(Digest digest, CancellationToken cancellationToken) =>
        await bucket.FindAsync(RegistryLayout.BlobData(digest), cancellationToken) is not { } stored ? null
        : await _claims.LastAsync(digest, cancellationToken) is { } claimed && claimed > stored.Written ? claimed
        : stored.Written;

    public ValueTask<long?> SweepContentAsync(Digest digest, DateTimeOffset before, CancellationToken cancellationToken) =>
        _claims.SweepAsync(digest, before, [RegistryLayout.BlobData(digest)], cancellationToken);

    public async ValueTask<bool> SweepBlobAsync(RepositoryName name, Digest digest, DateTimeOffset before, CancellationToken cancellationToken) =>
        await _claims.SweepAsync(digest, before, [RegistryLayout.LayerLink(name, digest)], cancellationToken) is not null;

    public async ValueTask<bool> SweepManifestAsync(RepositoryName name, Digest digest, Digest? subject, DateTimeOffset before, CancellationToken cancellationToken)
    {
        List<string> paths = [RegistryLayout.RevisionLink(name, digest), RegistryLayout.RevisionMediaType(name, digest)];
        if (subject is { } referred)
            paths.Add(RegistryLayout.Referrer(name, referred, digest));
        return await _claims.SweepAsync(digest, before, paths, cancellationToken) is not null;
    }

    /// <summary>
    /// Removes uploads and scratch files that nobody will go on with, and claims and marks that no longer matter; the bytes of uploads, and claims and
    /// marks, are not counted.
    /// </summary>
    public async ValueTask<(int Files, long Bytes)> SweepLeftoversAsync(DateTimeOffset now, bool dryRun, CancellationToken cancellationToken)
    {
        var (count, bytes) = (0, 0L);
        foreach (var algorithm in Digest.Algorithms)
        {
            // Here, a download that nobody took up again; there, the parts of one whose process died.
            var scratch = OrphanedFiles.Sweep(Path.Combine(bucket.Options.Scratch, algorithm), now - OrphanedFiles.FillAge, dryRun, cancellationToken);
            (count, bytes) = (count + scratch.Files, bytes + scratch.Bytes);
            await foreach (var (path, upload) in bucket.ListUploadsAsync(RegistryLayout.Blobs(algorithm), now - UploadAge, cancellationToken))
            {
                if (!dryRun)
                    await bucket.Writer.AbortAsync(path, upload, cancellationToken);
                count++;
            }
        }
        if (!dryRun)
            await _claims.ForgetAsync(now, cancellationToken);
        return (count, bytes);
    }

    private async IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> ListLinksAsync(
        Func<string, string> folderOf, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var algorithm in Digest.Algorithms)
            await foreach (var (path, written, _) in bucket.ListAsync(folderOf(algorithm), cancellationToken))
                if (path.Split('/') is [.., var hex, "link"] && Digest.TryParse($"{algorithm}:{hex}", out var digest))
                    yield return (digest, written);
    }

    private async Task SignAsync(string own, CancellationToken ended)
    {
        while (true)
            try
            {
                await Task.Delay(Sign, bucket.Time, ended);
                await bucket.Writer.PutTextAsync(own, "", ended);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (StoreUnavailableException)
            {
                // The next one may come through.
            }
    }
}
