using System.Runtime.CompilerServices;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>One page of the manifests that refer to a manifest: their descriptors as JSON.</summary>
/// <param name="Next">The last digest of this page; null on the last page.</param>
public sealed record ReferrerPage(IReadOnlyList<ReadOnlyMemory<byte>> Descriptors, Digest? Next);

/// <summary>Lists which manifests of a hosted repository refer to a manifest.</summary>
public sealed class Referrers(IReferrerStore store, IReferenceStore references, ManifestCache manifests)
{
    // The bytes of the descriptors on one page: clients read an index of at most 4 MiB.
    private const int PageBytes = 3 << 20;

    /// <summary>
    /// A page of the manifests that refer to <paramref name="subject"/>: those pushed with it as their subject, and those that older
    /// clients listed under the tag made for it (OCI distribution-spec 1.1.1, "Referrers Tag Schema").
    /// </summary>
    /// <param name="artifactType">Only manifests of this type; null for all.</param>
    /// <param name="last">The last digest of the previous page; null for the first page.</param>
    public async ValueTask<ReferrerPage> PageAsync(
        RepositoryName name, Digest subject, string? artifactType, Digest? last, CancellationToken cancellationToken)
    {
        var digests = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var referrer in await store.ListAsync(name, subject, cancellationToken))
            digests.Add(referrer.ToString());
        foreach (var referrer in await TaggedAsync(name, subject, cancellationToken))
            digests.Add(referrer.ToString());
        return await PageAsync(DescribeAsync(name, subject, digests, last, cancellationToken), artifactType);
    }

    /// <summary>The first page of a list of referrers.</summary>
    /// <param name="referrers">In the order of their digests.</param>
    /// <param name="artifactType">Only manifests of this type; null for all.</param>
    public static async ValueTask<ReferrerPage> PageAsync(
        IAsyncEnumerable<(Digest Digest, ReadOnlyMemory<byte> Descriptor)> referrers, string? artifactType)
    {
        List<ReadOnlyMemory<byte>> page = [];
        var (bytes, end) = (0, (Digest?)null);
        await foreach (var (digest, descriptor) in referrers)
        {
            if (artifactType is not null && ManifestDocument.ArtifactTypeOf(descriptor) != artifactType)
                continue;
            if (page.Count > 0 && bytes + descriptor.Length > PageBytes)
                return new ReferrerPage(page, end);
            page.Add(descriptor);
            (bytes, end) = (bytes + descriptor.Length, digest);
        }
        return new ReferrerPage(page, null);
    }

    /// <summary>Whether a referrer comes after the last one of the previous page.</summary>
    public static bool IsAfter(string digest, Digest? last) => last is null || string.CompareOrdinal(digest, last.ToString()) > 0;

    /// <summary>
    /// The tag that clients use where a registry has no referrers API: <c>sha256-&lt;hex&gt;</c>, 64 digits at most. Some clients, such
    /// as those that copy images by digest, give this tag to the subject itself. Then it names no list of referrers.
    /// </summary>
    public static string FallbackTag(Digest subject) => $"{subject.Algorithm}-{subject.Hex[..64]}";

    private async IAsyncEnumerable<(Digest Digest, ReadOnlyMemory<byte> Descriptor)> DescribeAsync(
        RepositoryName name, Digest subject, IEnumerable<string> digests, Digest? last,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var referrer in digests.Where(digest => IsAfter(digest, last)).Select(Digest.Parse))
            if (await DescribeAsync(name, subject, referrer, cancellationToken) is { } descriptor)
                yield return (referrer, descriptor);
    }

    // Null for a manifest that was deleted, also by another process.
    private async ValueTask<byte[]?> DescribeAsync(
        RepositoryName name, Digest subject, Digest referrer, CancellationToken cancellationToken)
    {
        if (!(await references.FindManifestAsync(name, referrer, cancellationToken)).Linked)
            return null;
        if (await store.ReadAsync(name, subject, referrer, cancellationToken) is { } entered)
            return entered;
        return await manifests.FindAsync(name, referrer, cancellationToken) is { } manifest
            && ManifestDocument.Read(manifest.Bytes.Span) is { } document
            ? document.DescriptorAsReferrer(manifest.Descriptor)
            : null;
    }

    private async ValueTask<IEnumerable<Digest>> TaggedAsync(RepositoryName name, Digest subject, CancellationToken cancellationToken) =>
        await references.ResolveTagAsync(name, FallbackTag(subject), cancellationToken) is { } tagged && tagged != subject
            && await manifests.FindAsync(name, tagged, cancellationToken) is { } index
            && ManifestDocument.Read(index.Bytes.Span) is { } document
            ? document.Manifests.Select(entry => entry.Digest)
            : [];
}
