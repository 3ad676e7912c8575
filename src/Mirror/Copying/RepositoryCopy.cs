using System.Collections.Concurrent;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;

namespace Mirror.Copying;

/// <summary>
/// Copies one repository. What is read last is written first: tags are read before manifests and manifests before blobs, so that the blobs
/// that a tag needs are among those that are copied; content is written before the links to it, and links before the tags.
/// </summary>
/// <remarks>
/// A copy from upstream may lack blobs, because a mirror stores a part of an image when clients want no more: it is copied as it is. What a
/// client pushed was whole then. So pushed content that lacks something is broken: it is named, and not copied.
/// </remarks>
/// <param name="evidence">Tells copies of <c>registry:2</c>, which writes no marks, from pushed content.</param>
/// <param name="isDryRun">Whether all is only counted.</param>
/// <param name="maxAtOnce">How many requests of one kind run at a time.</param>
internal sealed class RepositoryCopy(
    CopyStore from, CopyStore to, CopyEvidence evidence, ContentCopy content, CopyTally tally, RepositoryName name, bool isDryRun,
    int maxAtOnce)
{
    private const string Lost = "the source does not have it; push it again";
    private const string Unlinked = "the source has lost the link that lets this repository serve it; push it again";

    private readonly PushProtection _protection = new(to.Content, to.References);
    private readonly DigestSet _blobs = new();
    private readonly DigestSet _newBlobs = new();
    private readonly DigestSet _manifests = new();
    private readonly Dictionary<Provenance, DigestSet> _marks = [];
    private readonly Dictionary<Provenance, DigestSet> _marksThere = [];
    private readonly HashSet<Digest> _refused = [];

    // All of it came from upstream: the next pull of a tag sets it again.
    private bool IsMirror => _marks[Provenance.Copied].Count > 0 && _marks[Provenance.Pushed].Count == 0;

    private sealed record NewManifest(Digest Digest, ManifestDocument? Document, long Length);

    /// <summary>Copies what the destination lacks.</summary>
    /// <exception cref="IOException">A store is away, or the destination does not take what it gets.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        // 1. Read the source, and what the destination has of it.
        var (tags, nameless) = await TagsAsync(cancellationToken);
        var manifests = await from.Lists.ListManifestsAsync(name, cancellationToken).ToListAsync(cancellationToken);
        var blobs = await from.Lists.ListBlobsAsync(name, cancellationToken).ToListAsync(cancellationToken);
        await foreach (var (digest, _) in to.Lists.ListManifestsAsync(name, cancellationToken))
            _manifests.Add(digest);
        await foreach (var (digest, _) in to.Lists.ListBlobsAsync(name, cancellationToken))
            _blobs.Add(digest);
        foreach (var provenance in Enum.GetValues<Provenance>())
        {
            _marks[provenance] = await SetAsync(from.Provenance.ListAsync(name, provenance, cancellationToken));
            _marksThere[provenance] = await SetAsync(to.Provenance.ListAsync(name, provenance, cancellationToken));
        }

        // 2. The blobs.
        ConcurrentBag<Digest> newBlobs = [];
        await EachAsync(blobs.Select(each => each.Digest), async (blob, stop) =>
        {
            if (!await content.CopyAsync(blob, stop))
            {
                if (content.DamageOf(blob) is { } damage)
                    tally.Problem($"{name}@{blob}", damage);
            }
            else if (!_blobs.Contains(blob))
                newBlobs.Add(blob);
        }, cancellationToken);
        foreach (var blob in newBlobs)
            _newBlobs.Add(blob);

        // 3. The manifests: those of images before the indexes that name them.
        List<NewManifest> newManifests = [];
        foreach (var (manifest, _) in manifests)
            if ((!_manifests.Contains(manifest) || !content.IsStored(manifest)) && await ReadAsync(manifest, cancellationToken) is { } read)
                newManifests.Add(read);
        await RefuseIndexesAsync(newManifests, cancellationToken);
        newManifests.RemoveAll(manifest => _refused.Contains(manifest.Digest));

        // 4. The links, each after its mark, and the tags.
        if (!isDryRun)
        {
            await EachAsync(newBlobs, async (blob, stop) =>
            {
                await MarkAsync(blob, stop);
                await to.References.LinkBlobAsync(name, blob, stop);
            }, cancellationToken);
            foreach (var manifest in newManifests.OrderBy(manifest => manifest.Document?.IsIndex is true))
                await LinkAsync(manifest, cancellationToken);
            // What the destination has already may be marked as a copy there, and as pushed here since.
            foreach (var blob in blobs.Select(each => each.Digest).Where(_blobs.Contains))
                await MarkAsync(blob, cancellationToken);
            foreach (var manifest in manifests.Select(each => each.Digest).Where(_manifests.Contains))
                await MarkAsync(manifest, cancellationToken);
        }
        foreach (var manifest in newManifests)
        {
            _manifests.Add(manifest.Digest);
            tally.Manifest();
        }
        if (await IsKeptAsync([]))
            await SetTagsAsync(tags, IsKeptAsync, cancellationToken);
        await NameAsync(nameless, cancellationToken);
        tally.Repository();

        // As for a push: after the links and after the tags, so that no garbage collection of the destination takes anything meanwhile.
        async Task<bool> IsKeptAsync(IEnumerable<Digest> tagged)
        {
            if (isDryRun || await _protection.TouchAllAsync(
                name, newBlobs, newManifests.Select(manifest => manifest.Digest).Union(tagged), cancellationToken) is not { } missing)
                return true;
            tally.Problem($"{name}@{missing}", "a garbage collection of the destination deleted it meanwhile; run the copy again");
            return false;
        }
    }

    // The tags that name a manifest, and the others.
    private async Task<(List<(string Tag, Digest Digest)> Tags, IEnumerable<string> Nameless)> TagsAsync(
        CancellationToken cancellationToken)
    {
        ConcurrentBag<(string, Digest)> tags = [];
        ConcurrentBag<string> nameless = [];
        // Where this process may not read the tags, the command names the folder.
        var all = await UnreadableException.SkipAsync(() => from.References.ListTagsAsync(name, cancellationToken)) ?? [];
        await EachAsync(all, async (tag, stop) =>
        {
            try
            {
                if (await from.References.ResolveTagAsync(name, tag, stop) is { } digest)
                    tags.Add((tag, digest));
                else
                    nameless.Add(tag);
            }
            catch (UnreadableException)
            {
                // The command names the folder.
            }
        }, cancellationToken);
        return ([.. tags], nameless);
    }

    // Tags that name no manifest. A client may have deleted or set them meanwhile; the next pull sets a tag of a mirror again.
    private async Task NameAsync(IEnumerable<string> nameless, CancellationToken cancellationToken)
    {
        HashSet<string> left = [.. nameless];
        if (left.Count == 0 || IsMirror)
            return;
        left.IntersectWith(await from.References.ListTagsAsync(name, cancellationToken));
        foreach (var tag in left)
            if (await from.References.ResolveTagAsync(name, tag, cancellationToken) is null)
                tally.Problem(
                    $"{name}:{tag}",
                    await from.Lists.HasTagLinkAsync(name, tag, cancellationToken)
                        ? "its link is damaged, and names no manifest; push it again or delete it"
                        : "it has no link, and names no manifest: a push of it did not end; push it again or delete it");
    }

    private async Task SetTagsAsync(
        List<(string Tag, Digest Digest)> tags, Func<IEnumerable<Digest>, Task<bool>> isKept, CancellationToken cancellationToken)
    {
        ConcurrentDictionary<Digest, bool> tagged = new();
        await EachAsync(tags, async (each, stop) =>
        {
            if (!_manifests.Contains(each.Digest))
            {
                if (_refused.Contains(each.Digest))
                    tally.Problem($"{name}:{each.Tag}", $"its manifest {each.Digest} is not copied");
                // The source may have deleted it meanwhile.
                else if (!IsMirror && !await IsCopyAsync(each.Digest, stop)
                    && await from.References.ResolveTagAsync(name, each.Tag, stop) == each.Digest)
                    tally.Problem($"{name}:{each.Tag}", $"the source does not have its manifest {each.Digest}");
                return;
            }
            if (await to.References.ResolveTagAsync(name, each.Tag, stop) == each.Digest)
                return;
            if (!isDryRun)
                await to.References.SetTagAsync(name, each.Tag, each.Digest, stop);
            tagged[each.Digest] = true;
            tally.Tag();
        }, cancellationToken);
        if (!tagged.IsEmpty)
            await isKept(tagged.Keys);
    }

    // Null where the source has it no longer, or it is not copied.
    private async Task<NewManifest?> ReadAsync(Digest digest, CancellationToken cancellationToken)
    {
        Verification state;
        byte[]? bytes;
        try
        {
            (state, bytes) = await from.Content.ReadAllAsync(digest, Manifest.MaxBytes, cancellationToken);
        }
        catch (Exception unreadable) when (unreadable.IsStoreFailure && unreadable is not StoreUnavailableException)
        {
            Refuse(digest, $"the source cannot read it: {unreadable.Message}");
            return null;
        }
        if (state == Verification.Damaged)
            Refuse(digest, "its bytes do not match the digest");
        // Upstream still has a copy, and a client may have deleted the manifest meanwhile.
        else if (bytes is null && !await IsCopyAsync(digest, cancellationToken)
            && (await from.References.FindManifestAsync(name, digest, cancellationToken)).Linked)
            Refuse(digest, Lost);
        if (bytes is null)
            return null;
        var document = ManifestDocument.Read(bytes);
        if (document is not null && await FirstNotCopiedAsync(digest, document, cancellationToken) is { } needed)
        {
            Refuse(digest, $"it needs {needed}, which is not copied");
            return null;
        }
        await content.PutAsync(digest, bytes, cancellationToken);
        return new(digest, document, bytes.Length);
    }

    // The first blob that a pushed manifest needs and the destination does not get. Upstream still has the blobs of a copy.
    private async ValueTask<Digest?> FirstNotCopiedAsync(Digest manifest, ManifestDocument document, CancellationToken cancellationToken)
    {
        List<Digest> missing = [];
        foreach (var blob in document.Blobs.DistinctBy(blob => blob.Digest))
            if (content.DamageOf(blob.Digest) is not null || !blob.IsElsewhere && !IsThere(blob.Digest))
                missing.Add(blob.Digest);
        if (missing.Count == 0 || await IsCopyAsync(manifest, cancellationToken)
            // A client may have deleted it meanwhile, and a garbage collection its blobs.
            || !(await from.References.FindManifestAsync(name, manifest, cancellationToken)).Linked)
            return null;
        foreach (var blob in missing.Where(blob => content.DamageOf(blob) is null))
            tally.Problem(
                $"{name}@{blob}", await from.References.HasBlobAsync(name, blob, cancellationToken) ? Lost : Unlinked);
        return missing[0];
    }

    private bool IsThere(Digest blob) => _newBlobs.Contains(blob) || _blobs.Contains(blob) && content.IsStored(blob);

    // An index may name another index. It may lack children from the beginning, but not those that the repository had.
    private async Task RefuseIndexesAsync(List<NewManifest> manifests, CancellationToken cancellationToken)
    {
        foreach (var child in manifests.SelectMany(index => index.Document?.Manifests ?? []).Select(entry => entry.Digest).Distinct())
            if (_marks[Provenance.Pushed].Contains(child) && !_manifests.Contains(child)
                && !(await from.References.FindManifestAsync(name, child, cancellationToken)).Linked)
                Refuse(child, Unlinked);
        for (var before = -1; before < _refused.Count && _refused.Count > 0;)
        {
            before = _refused.Count;
            foreach (var index in manifests)
                if (!_refused.Contains(index.Digest)
                    && index.Document?.Manifests.FirstOrDefault(child => _refused.Contains(child.Digest)) is { } child
                    && !await IsCopyAsync(index.Digest, cancellationToken))
                    Refuse(index.Digest, $"it needs {child.Digest}, which is not copied");
        }
    }

    private void Refuse(Digest manifest, string why)
    {
        _refused.Add(manifest);
        tally.Problem($"{name}@{manifest}", why);
    }

    // Content without a mark counts as pushed, unless registry:2 noted that it copied it.
    private async ValueTask<bool> IsCopyAsync(Digest digest, CancellationToken cancellationToken) =>
        !_marks[Provenance.Pushed].Contains(digest)
        && (_marks[Provenance.Copied].Contains(digest) || await evidence.IsNotedAsync(name, digest, cancellationToken));

    private async Task LinkAsync(NewManifest manifest, CancellationToken cancellationToken)
    {
        var (_, mediaType) = await from.References.FindManifestAsync(name, manifest.Digest, cancellationToken);
        await MarkAsync(manifest.Digest, cancellationToken);
        if (manifest.Document is { Subject: { } subject } document
            && (await from.Referrers.ReadAsync(name, subject, manifest.Digest, cancellationToken)
                // Of a program that keeps no such list.
                ?? (await IsCopyAsync(manifest.Digest, cancellationToken) ? null : document.DescriptorAsReferrer(
                    new Descriptor(mediaType ?? document.Type ?? "", manifest.Digest, manifest.Length)))) is { } descriptor)
            await to.Referrers.AddAsync(name, subject, manifest.Digest, descriptor, cancellationToken);
        await to.References.LinkManifestAsync(name, manifest.Digest, mediaType, cancellationToken);
    }

    private async ValueTask MarkAsync(Digest digest, CancellationToken cancellationToken)
    {
        foreach (var (provenance, marks) in _marks)
            if (marks.Contains(digest) && !_marksThere[provenance].Contains(digest))
                await to.Provenance.MarkAsync(name, digest, provenance, cancellationToken);
    }

    private static async Task<DigestSet> SetAsync(IAsyncEnumerable<Digest> digests)
    {
        DigestSet set = new();
        await foreach (var digest in digests)
            set.Add(digest);
        return set;
    }

    private Task EachAsync<T>(IEnumerable<T> items, Func<T, CancellationToken, ValueTask> run, CancellationToken cancellationToken) =>
        Parallel.ForEachAsync(
            items, new ParallelOptions { MaxDegreeOfParallelism = maxAtOnce, CancellationToken = cancellationToken }, run);
}
