using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>Cuts lists of tags into pages.</summary>
internal static class TagPages
{
    extension(IReferenceStore references)
    {
        /// <summary>The stored tags after <paramref name="last"/> in ordinal order; null for an unknown repository.</summary>
        /// <param name="count">How many at most; null for all.</param>
        /// <param name="last">Null for the first page.</param>
        public async ValueTask<TagPage?> PageOfTagsAsync(RepositoryName name, int? count, string? last, CancellationToken cancellationToken)
        {
            if (!await references.ExistsAsync(name, cancellationToken))
                return null;
            var listed = await references.ListTagsForClientAsync(name, cancellationToken);
            return Page(listed as string[] ?? [.. listed], count, last);
        }
    }

    /// <summary>The tags after <paramref name="last"/>.</summary>
    /// <param name="tags">All tags in ordinal order.</param>
    public static TagPage Page(string[] tags, int? count, string? last)
    {
        var found = last is null ? ~0 : Array.BinarySearch(tags, last, StringComparer.Ordinal);
        var start = found < 0 ? ~found : found + 1;
        var page = tags.AsSpan(start, Math.Min(count ?? int.MaxValue, tags.Length - start)).ToArray();
        return new TagPage(page, page.Length > 0 && start + page.Length < tags.Length);
    }
}
