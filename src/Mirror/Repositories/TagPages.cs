using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>Cuts a repository's stored tags into pages.</summary>
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
            var tags = await references.ListTagsAsync(name, cancellationToken);
            var start = last is null ? 0 : FirstAfter(tags, last);
            var page = new string[Math.Min(count ?? int.MaxValue, tags.Count - start)];
            for (var i = 0; i < page.Length; i++)
                page[i] = tags[start + i];
            return new TagPage(page, page.Length > 0 && start + page.Length < tags.Count);
        }
    }

    private static int FirstAfter(IReadOnlyList<string> tags, string last)
    {
        var (low, high) = (0, tags.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (string.CompareOrdinal(tags[middle], last) > 0)
                high = middle;
            else
                low = middle + 1;
        }
        return low;
    }
}
