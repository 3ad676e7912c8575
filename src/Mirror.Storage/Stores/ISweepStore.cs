using System.Collections.Frozen;

namespace Mirror.Storage.Stores;

/// <summary>The calls that a garbage collection needs. All times are by the store's clock, so machines may have other times.</summary>
public interface ISweepStore
{
    /// <summary>
    /// The same store for evictions: one runs at a time, but it runs beside a garbage collection. So a download that waits for room does
    /// not wait for a collection.
    /// </summary>
    ISweepStore ForEvictions { get; }

    /// <summary>
    /// How far the clocks may differ that give the times: what seems to be touched so long before a sweep began may have been touched after
    /// it. Zero if one clock gives all times.
    /// </summary>
    TimeSpan MaxClockSkew => TimeSpan.Zero;

    /// <summary>Begins a sweep; null while another one of the same kind runs, in this process or another.</summary>
    ValueTask<SweepRun?> BeginAsync(CancellationToken cancellationToken);

    /// <summary>Begins a sweep that deletes nothing, as <see cref="BeginAsync"/> does. The store may be one that takes no writes.</summary>
    ValueTask<SweepRun?> BeginTrialAsync(CancellationToken cancellationToken) => BeginAsync(cancellationToken);

    /// <summary>A folder that could not be read since the sweep began: what it names is not known. Null where there is none.</summary>
    ValueTask<string?> UnreadableAsync(CancellationToken cancellationToken) => ValueTask.FromResult<string?>(null);

    /// <summary>The content that this process is reading, as far as the store can tell.</summary>
    IReadOnlySet<Digest> BeingRead() => FrozenSet<Digest>.Empty;

    /// <summary>The blobs that a repository may serve, and when each link was last touched.</summary>
    IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> ListBlobsAsync(RepositoryName name, CancellationToken cancellationToken);

    /// <summary>The manifests that a repository may serve, and when each link was last touched.</summary>
    IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> ListManifestsAsync(
        RepositoryName name, CancellationToken cancellationToken);

    /// <summary>
    /// Whether a tag has a link, whatever that says. False for a tag of which a push has written the index only: it names nothing.
    /// </summary>
    ValueTask<bool> HasTagLinkAsync(RepositoryName name, string tag, CancellationToken cancellationToken);

    /// <summary>All content with its length in bytes, and when it was last touched. A bucket is not asked for each.</summary>
    IAsyncEnumerable<(Digest Digest, long Bytes, DateTimeOffset LastTouched)> ListContentAsync(CancellationToken cancellationToken);

    /// <summary>When content was last touched; null where there is none.</summary>
    ValueTask<DateTimeOffset?> LastTouchedAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>
    /// Deletes content that was last touched before a given time. This and a concurrent <see cref="IContentStore.TouchAsync"/> never both
    /// succeed, unless the touch was before that time.
    /// </summary>
    /// <returns>How many bytes were freed; null where the content stays.</returns>
    ValueTask<long?> SweepContentAsync(Digest digest, DateTimeOffset before, CancellationToken cancellationToken);

    /// <summary>
    /// Deletes content as <see cref="SweepContentAsync"/> does, and then its links in some repositories as <see cref="SweepBlobAsync"/>
    /// does. The caller has just looked when the content was last touched.
    /// </summary>
    /// <returns>How many bytes were freed; null where the content stays.</returns>
    async ValueTask<long?> SweepCopyAsync(
        Digest digest, IEnumerable<RepositoryName> names, DateTimeOffset before, CancellationToken cancellationToken)
    {
        var freed = await SweepContentAsync(digest, before, cancellationToken);
        if (freed is not null)
            foreach (var name in names)
                await SweepBlobAsync(name, digest, before, cancellationToken);
        return freed;
    }

    /// <summary>Removes a blob's link as <see cref="SweepContentAsync"/> deletes content; false where it stays.</summary>
    ValueTask<bool> SweepBlobAsync(RepositoryName name, Digest digest, DateTimeOffset before, CancellationToken cancellationToken);

    /// <summary>Removes a manifest's link as <see cref="SweepContentAsync"/> deletes content; false where it stays.</summary>
    /// <param name="subject">The manifest that this one refers to; the entry there is removed as well.</param>
    ValueTask<bool> SweepManifestAsync(
        RepositoryName name, Digest digest, Digest? subject, DateTimeOffset before, CancellationToken cancellationToken);

    /// <summary>Deletes temporary files and uploads of processes that died and that no other process continued.</summary>
    /// <param name="dryRun">Only counts.</param>
    /// <returns>How many files, and their bytes.</returns>
    ValueTask<(int Files, long Bytes)> SweepLeftoversAsync(DateTimeOffset now, bool dryRun, CancellationToken cancellationToken);
}

/// <summary>The right to sweep, until it is disposed.</summary>
/// <param name="Began">When the sweep began, by the store's clock: what is touched from here on has this time or a later one.</param>
/// <param name="End">Gives the right back.</param>
public sealed record SweepRun(DateTimeOffset Began, Func<ValueTask> End) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => End();
}
