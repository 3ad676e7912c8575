using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>Pages of the tags we hold.</summary>
internal static class StoredTags
{
    /// <summary>The tags behind <paramref name="last"/>, in ordinal order; null for a repository that holds nothing.</summary>
    public static async ValueTask<TagPage?> PageAsync(IReferenceStore references, RepositoryName name, int? count, string? last, CancellationToken cancellationToken)
    {
        if (!await references.ExistsAsync(name, cancellationToken))
            return null;
        var tags = await references.ListTagsAsync(name, cancellationToken);
        var behind = last is null ? tags : [.. tags.Where(tag => string.CompareOrdinal(tag, last) > 0)];
        return count is { } most && behind.Count > most ? new TagPage([.. behind.Take(most)], most > 0) : new TagPage(behind, false);
    }
}
