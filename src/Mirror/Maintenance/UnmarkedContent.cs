using System.Text;
using System.Text.Json;
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
    IProvenanceStore provenance, RepositoryResolver repositories, UpstreamSelector upstreams, ILogger<UnmarkedContent> log)
{
    // In one round. An old cache of 100,000 images is not asked for at once.
    private const int MaxQuestions = 1000;

    // About 200,000 entries.
    private const int MaxScheduleBytes = 64 << 20;

    /// <summary>Marks what it can. False if more would be to ask: another round goes on from there.</summary>
    public async Task<bool> MarkAsync(CancellationToken stop)
    {
        var round = new Round();
        await foreach (var name in references.ListRepositoriesAsync(stop))
            if (repositories.IsMirrored(name) && upstreams.Find(name) is { } mirror)
                await MarkAsync(name, mirror.Upstream, round, stop);
        if (round.Copied + round.Pushed > 0)
            LogMarked(round.Copied, round.Pushed);
        return round.Questions < MaxQuestions;
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
                await MarkAsync(digest, () => HasManifestAsync(upstream, name, digest, stop));

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
                await MarkAsync(digest, async () => await upstream.HeadBlobAsync(name, digest, stop) is not null);

        async Task MarkAsync(Digest digest, Func<Task<bool>> ask)
        {
            round.Schedule ??= await ScheduleAsync(stop);
            if (round.Schedule.Contains($"{name}@{digest}"))
                await SetAsync(digest, Provenance.Copied);
            else if (await IsCopyAsync(upstream, name, round, ask) is { } isCopy)
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

    // Where HEAD does not tell, the manifest itself does.
    private static async Task<bool> HasManifestAsync(UpstreamClient upstream, RepositoryName name, Digest digest, CancellationToken stop) =>
        (await upstream.HeadManifestAsync(name, digest, stop) ?? (await upstream.GetManifestAsync(name, digest, stop)).Descriptor)
        .Digest == digest;

    // Null where upstream cannot be asked, or gives no answer about this content.
    private async Task<bool?> IsCopyAsync(UpstreamClient upstream, RepositoryName name, Round round, Func<Task<bool>> ask)
    {
        if (round.Away.Contains(upstream) || round.Denied.Contains(name) || round.Questions >= MaxQuestions)
            return null;
        round.Questions++;
        try
        {
            return await ask() ? true : null;
        }
        catch (UpstreamRefusedException)
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
            round.Away.Add(upstream);
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

    // {"library/alpine@sha256:...":{...},...}
    private async Task<HashSet<string>> ScheduleAsync(CancellationToken stop)
    {
        HashSet<string> copies = [];
        if (await provenance.ReadScheduleAsync(MaxScheduleBytes, stop) is not { } bytes)
            return copies;
        try
        {
            Read(bytes, copies);
        }
        catch (JsonException damaged)
        {
            LogBadSchedule(RegistryLayout.Schedule, damaged.Message);
        }
        return copies;

        static void Read(byte[] bytes, HashSet<string> copies)
        {
            var json = new Utf8JsonReader(bytes);
            while (json.Read())
                if (json is { TokenType: JsonTokenType.PropertyName, CurrentDepth: 1 })
                    copies.Add(Encoding.UTF8.GetString(json.ValueSpan));
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "found out how unmarked content came into mirrored repositories: {Copied} are copies, {Pushed} are not at upstream")]
    private partial void LogMarked(int copied, int pushed);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "cannot ask upstream whether it has the content of {Name} that an earlier program stored; it is not evicted until then: {Reason}")]
    private partial void LogNotAsked(string name, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{File} in the storage is damaged and ignored: {Reason}")]
    private partial void LogBadSchedule(string file, string reason);

    private sealed class Round
    {
        public int Questions { get; set; }

        public int Copied { get; set; }

        public int Pushed { get; set; }

        public HashSet<UpstreamClient> Away { get; } = [];

        public HashSet<RepositoryName> Denied { get; } = [];

        public HashSet<string>? Schedule { get; set; }
    }
}
