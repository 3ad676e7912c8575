using Mirror.PullThrough.Fills;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// Blobs of mirrored repositories. Content is shared by all of them; each one's right to it was proved by upstream, once.
/// </summary>
public sealed partial class MirroredBlobs(FillContext context, RunningFills fills, UpstreamDeadlines deadlines, ILogger<MirroredBlobs> log)
{
    private readonly SingleFlight<(RepositoryName, Digest), long?> _proving = new();

    /// <summary>Opens a blob: from the store, from the fill that is running, or from one that this call starts.</summary>
    /// <param name="ignoreLease">Whether this replica downloads what is missing, though another one may be about to.</param>
    /// <exception cref="UpstreamException">Upstream gave another answer, and the blob is not stored.</exception>
    public async ValueTask<Answer<Content>> OpenAsync(RepositoryName name, Digest digest, bool ignoreLease, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (await OpenStoredAsync(name, digest, cancellationToken) is { } stored)
                return stored;
            if (await OpenFillAsync(name, digest, ignoreLease, cancellationToken) is { } filling)
                return filling;
            // Stored between the two looks: look again.
        }
    }

    /// <summary>A blob's length, by a HEAD upstream at most.</summary>
    /// <exception cref="UpstreamException">Upstream gave another answer, and the blob is not stored.</exception>
    public async ValueTask<Answer<long?>> HeadAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        var size = await context.Content.SizeAsync(digest, cancellationToken);
        if (size is not null && await context.References.HasBlobAsync(name, digest, cancellationToken))
            return new(size, CacheStatus.Hit);
        var proved = await ProveAsync(name, digest, cancellationToken);
        if (size is null)
            return new(proved, CacheStatus.Miss);
        await LinkAsync(name, digest, cancellationToken);
        return new(size, CacheStatus.Revalidated);
    }

    private async ValueTask<Answer<Content>?> OpenStoredAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (await context.Content.OpenAsync(digest, cancellationToken) is not { } stored)
            return null;
        try
        {
            await context.Cache.UsedAsync(digest, cancellationToken);
            if (await context.References.HasBlobAsync(name, digest, cancellationToken))
                return new(stored, CacheStatus.Hit);
            await ProveAsync(name, digest, cancellationToken);
            await LinkAsync(name, digest, cancellationToken);
            return new(stored, CacheStatus.Revalidated);
        }
        catch
        {
            await stored.DisposeAsync();
            throw;
        }
    }

    private async ValueTask<Answer<Content>?> OpenFillAsync(RepositoryName name, Digest digest, bool ignoreLease, CancellationToken cancellationToken)
    {
        var (fill, joined) = fills.JoinOrStart(context, name, digest, ignoreLease);
        Content? content = null;
        try
        {
            if (!fill.IsFor(name))
            {
                await ProveAsync(name, digest, cancellationToken);
                fill.TryAdd(name);
            }
            if (await deadlines.WaitForMissAsync(fill.Opened, cancellationToken))
                content = fill.OpenRead(name);
            return content is null ? null : new(content, joined || fill.Transfer.Owner is not null ? CacheStatus.Joined : CacheStatus.Miss);
        }
        catch (Exception failure) when (failure is IOException and not DigestMismatchException or UnauthorizedAccessException)
        {
            // No place to store it: the client still gets it.
            LogUncached(digest.ToString(), failure.Message);
            return new(await UncachedContent.OpenAsync(fill, name, cancellationToken), CacheStatus.Miss);
        }
        finally
        {
            if (content is null)
                await fill.LeaveAsync();
        }
    }

    // One HEAD upstream proves a repository's right to content that is here already.
    private async Task<long?> ProveAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        var proving = _proving.JoinOrStart((name, digest), stop => context.Upstream.HeadBlobAsync(name, digest, stop), CancellationToken.None);
        return (await deadlines.WaitForMissAsync(proving, cancellationToken)).Result;
    }

    private async ValueTask LinkAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        try
        {
            await context.References.LinkBlobAsync(name, digest, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            LogNotLinked(digest.ToString(), failure.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{Digest} goes to the client uncached: {Reason}")]
    private partial void LogUncached(string digest, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Digest} is served, but its right cannot be stored and will be asked for again: {Reason}")]
    private partial void LogNotLinked(string digest, string reason);
}
