using Microsoft.Extensions.Logging.Abstractions;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Copying;

/// <summary>
/// Copies a registry from one store to another (<c>mirror copy</c>), and changes nothing in the source, which may be served and pushed to
/// meanwhile. A second run copies what the destination lacks. Nothing is deleted in the destination. Memory does not grow with a blob.
/// </summary>
/// <param name="wants">Which repositories to copy.</param>
/// <param name="isDryRun">Whether all is only counted.</param>
/// <param name="maxAtOnce">How many blobs are on their way at a time, at least 1.</param>
internal sealed class RegistryCopy(
    CopyStore from, CopyStore to, Predicate<RepositoryName> wants, bool isDryRun, int maxAtOnce) : IDisposable
{
    private const int MaxScheduleBytes = 64 << 20;

    private readonly CopyTally _tally = new();
    private readonly CopyEvidence _evidence = new(from.Provenance, TimeProvider.System, NullLogger<CopyEvidence>.Instance);
    private ContentCopy? _content;

    /// <summary>What has been done, in words.</summary>
    public string Progress => _tally.ToString();

    /// <summary>From 0 to 1; null while that is not known.</summary>
    public double? Share => _tally.Share;

    /// <summary>What was not copied, each with its reason.</summary>
    public IReadOnlyList<string> Problems => _tally.Problems;

    public void Dispose()
    {
        _content?.Dispose();
        _evidence.Dispose();
    }

    /// <summary>Copies everything, and then what has come or moved meanwhile.</summary>
    /// <exception cref="IOException">A store is away, or the destination takes no writes; also as
    /// <see cref="UnauthorizedAccessException"/>.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        _content = new ContentCopy(from, to, _tally, isDryRun, maxAtOnce);
        await _content.ListAsync(cancellationToken);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var measured = Task.Run(() => _content.CountBytesAsync(ended.Token), ended.Token);
        try
        {
            await PassAsync(_content, cancellationToken);
            if (isDryRun)
                return;
            _tally.BeginPass();
            await PassAsync(_content, cancellationToken);
            await CopyNotesAsync(cancellationToken);
        }
        finally
        {
            await ended.CancelAsync();
            await measured.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private Task PassAsync(ContentCopy content, CancellationToken cancellationToken) => Parallel.ForEachAsync(
        from.References.ListRepositoriesAsync(cancellationToken).Where(name => wants(name)),
        new ParallelOptions { MaxDegreeOfParallelism = maxAtOnce, CancellationToken = cancellationToken },
        async (name, stop) => await new RepositoryCopy(
            from, to, _evidence, content, _tally, name, isDryRun, maxAtOnce).RunAsync(stop));

    private async Task CopyNotesAsync(CancellationToken cancellationToken)
    {
        await foreach (var (name, tag) in from.Pins.ListAsync(cancellationToken))
            if (wants(name) && !await to.Pins.IsPinnedAsync(name, tag, cancellationToken))
                await to.Pins.PinAsync(name, tag, cancellationToken);
        await foreach (var path in from.Dates.ListAsync(RegistryLayout.Dates, cancellationToken))
            if ((RegistryLayout.DatedRepository(path) is { } name ? wants(name) : RegistryLayout.UpstreamFirstConfigured(path) is not null)
                && await from.Dates.ReadAsync(path, cancellationToken) is { } date
                && await to.Dates.ReadAsync(path, cancellationToken) is null)
                await to.Dates.WriteAsync(path, date, cancellationToken);
        // What registry:2 has copied, for content without a mark.
        if (await to.Provenance.ReadScheduleAsync(MaxScheduleBytes, cancellationToken) is null
            && await from.Provenance.ReadScheduleAsync(MaxScheduleBytes, cancellationToken) is { } schedule)
            await to.Provenance.WriteScheduleAsync(schedule, cancellationToken);
    }
}
