using Mirror.PullThrough;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Upstream;

namespace Mirror.Maintenance;

/// <summary>
/// Finds out how the content of mirrored repositories came there that no mark tells of: content of <c>registry:2</c>, and of versions that
/// knew no marks. It is a copy if <c>registry:2</c> has noted that, if a manifest that is a copy names it, or if upstream has it. If
/// upstream does not have it, it was pushed. While upstream cannot be asked, it is not known, and stays.
/// </summary>
public sealed partial class UnmarkedContent(
    [FromKeyedServices(CheckedContentStore.Unchecked)] IContentStore content, IReferenceStore references, ISweepStore links,
    IProvenanceStore provenance, CopyEvidence evidence, RepositoryResolver repositories, UpstreamSelector upstreams,
    ILogger<UnmarkedContent> log)
{
    // In one round. An old cache of 100,000 images is not asked for at once.
    private const int MaxQuestions = 1000;

    /// <summary>Marks what it can.</summary>
    /// <returns>Whether copies were found, and whether nothing is left to ask: if not, another round goes on from there.</returns>
    public async Task<(bool FoundCopies, bool IsDone)> MarkAsync(CancellationToken stop)
    {
        var round = new Round();
        await foreach (var name in references.ListRepositoriesAsync(stop))
            if (repositories.IsMirrored(name) && upstreams.Find(name) is { } mirror)
                await MarkAsync(name, mirror.Upstream, round, stop);
        if (round.Copied + round.Pushed > 0)
            LogMarked(round.Copied, round.Pushed);
        return (round.Copied > 0, round.Questions < MaxQuestions);
    }

    private async Task MarkAsync(RepositoryName name, UpstreamClient upstream, Round round, CancellationToken stop)
    {
        HashSet<Digest> marked = [];
        foreach (var provenanceOf in Enum.GetValues<Provenance>())
            await foreach (var digest in provenance.ListAsync(name, provenanceOf, stop))
                marked.Add(digest);

        // 1. Manifests.
        await foreach (var (digest, _) in links.ListManifestsAsync(name, stop))
            if (marked.Add(digest))
                await MarkAsync(digest, size => CopyEvidence.HasManifestAsync(upstream, name, digest, size, stop));

        // 2. Blobs. Upstream has what its manifests name.
        List<Digest> unmarked = [];
        await foreach (var (digest, _) in links.ListBlobsAsync(name, stop))
            if (!marked.Contains(digest))
                unmarked.Add(digest);
        var named = unmarked.Count > 0 ? await NamedByCopiesAsync(name, stop) : [];
        foreach (var digest in unmarked)
            if (named.Contains(digest))
                await SetAsync(digest, Provenance.Copied);
            else
                await MarkAsync(digest, size => CopyEvidence.HasBlobAsync(upstream, name, digest, size, stop));

        async Task MarkAsync(Digest digest, Func<long?, Task<bool>> ask)
        {
            if (await evidence.IsNotedAsync(name, digest, stop))
                await SetAsync(digest, Provenance.Copied);
            else if (await IsCopyAsync(upstream, name, round, async () => await ask(await content.SizeAsync(digest, stop))) is { } isCopy)
                await SetAsync(digest, isCopy ? Provenance.Copied : Provenance.Pushed);
        }

        async Task SetAsync(Digest digest, Provenance found)
        {
            await provenance.MarkAsync(name, digest, found, stop);
            if (found == Provenance.Copied)
                round.Copied++;
            else
                round.Pushed++;
        }
    }

    // Null where upstream cannot be asked, or gives no answer about this content.
    private async Task<bool?> IsCopyAsync(UpstreamClient upstream, RepositoryName name, Round round, Func<Task<bool>> ask)
    {
        if (round.Unavailable.Contains(upstream) || round.Denied.Contains(name) || round.Questions >= MaxQuestions)
            return null;
        round.Questions++;
        try
        {
            return await ask() ? true : null;
        }
        catch (UpstreamMissingException)
        {
            return false;
        }
        catch (UpstreamDeniedException)
        {
            round.Denied.Add(name);
            return null;
        }
        catch (UpstreamException failure)
        {
            round.Unavailable.Add(upstream);
            LogNotAsked(name.ToString(), failure.Message);
            return null;
        }
    }

    private async Task<HashSet<Digest>> NamedByCopiesAsync(RepositoryName name, CancellationToken stop)
    {
        HashSet<Digest> named = [];
        await foreach (var (digest, _) in links.ListManifestsAsync(name, stop))
            if (await provenance.FindAsync(name, digest, stop) == Provenance.Copied)
            {
                var (_, bytes) = await content.ReadAllAsync(digest, Manifest.MaxBytes, stop);
                foreach (var blob in ManifestDocument.Read(bytes)?.Blobs ?? [])
                    named.Add(blob.Digest);
            }
        return named;
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "found out how unmarked content came into mirrored repositories: {Copied} are copies, {Pushed} are not at upstream")]
    private partial void LogMarked(int copied, int pushed);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "cannot ask upstream whether it has the content of {Name} that an earlier program stored; it counts as pushed until upstream "
        + "answers: {Reason}")]
    private partial void LogNotAsked(string name, string reason);

    private sealed class Round
    {
        public int Questions { get; set; }

        public int Copied { get; set; }

        public int Pushed { get; set; }

        public HashSet<UpstreamClient> Unavailable { get; } = [];

        public HashSet<RepositoryName> Denied { get; } = [];
    }
}
