namespace Mirror.Storage.Stores;

/// <summary>
/// What a store offers a sweep, beside what it offers everyone. AgeHistogram are told by one clock, the store's own, so that processes and machines need
/// not agree on the time.
/// </summary>
public interface ISweepStore
{
    /// <summary>Begins a sweep; null while another runs, in whichever process.</summary>
    ValueTask<SweepTurn?> BeginAsync(CancellationToken cancellationToken);

    /// <summary>The blobs that a repository may serve, and when each right was last renewed.</summary>
    IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> ListBlobsAsync(RepositoryName name, CancellationToken cancellationToken);

    /// <summary>The manifests that a repository may serve, and when each link was last renewed.</summary>
    IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> ListManifestsAsync(RepositoryName name, CancellationToken cancellationToken);

    /// <summary>When content was last renewed; null where there is none.</summary>
    ValueTask<DateTimeOffset?> LastTouchedAsync(Digest digest, CancellationToken cancellationToken);

    /// <summary>
    /// Removes content that was last renewed before a moment. It and a concurrent <see cref="IContentStore.TouchAsync"/> never both succeed,
    /// unless the renewal was so early that it was taken into account.
    /// </summary>
    /// <returns>How many bytes were freed; null where it stays.</returns>
    ValueTask<long?> SweepContentAsync(Digest digest, DateTimeOffset before, CancellationToken cancellationToken);

    /// <summary>Takes a blob from a repository unless that was renewed, in the manner of <see cref="SweepContentAsync"/>; false where it stays.</summary>
    ValueTask<bool> SweepBlobAsync(RepositoryName name, Digest digest, DateTimeOffset before, CancellationToken cancellationToken);

    /// <summary>Takes a manifest from a repository unless that was renewed, in the manner of <see cref="SweepContentAsync"/>; false where it stays.</summary>
    /// <param name="subject">What it is attached to; its entry there goes with it.</param>
    ValueTask<bool> SweepManifestAsync(RepositoryName name, Digest digest, Digest? subject, DateTimeOffset before, CancellationToken cancellationToken);

    /// <summary>Removes what processes that died left on its way in, and nobody took up again.</summary>
    /// <param name="dryRun">Only count.</param>
    /// <returns>How many files, and their bytes.</returns>
    ValueTask<(int Files, long Bytes)> SweepLeftoversAsync(DateTimeOffset now, bool dryRun, CancellationToken cancellationToken);
}

/// <summary>The right to sweep, until it is disposed.</summary>
/// <param name="Began">When it began, by the store's clock: whatever is renewed from here on is not younger than this.</param>
/// <param name="End">Gives the right back.</param>
public sealed record SweepTurn(DateTimeOffset Began, Func<ValueTask> End) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => End();
}
