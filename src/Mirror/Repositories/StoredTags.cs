using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Repositories;

/// <summary>Pages of the tags we hold.</summary>
internal static class StoredTags
{
    /// <summary>The tags behind <paramref name="last"/>, in ordinal order; null for a repository that holds nothing.</summary>
    public static async ValueTask<TagPage?> PageAsync(IReferenceStore references, RepositoryName name, int? count, string? last, CancellationToken cancellationToken)
    {
        if (!await references.ExistsAsync(name, cancellationToken))
            return null;
        var tags = await references.ListTagsAsync(name, cancellationToken);
        var from = last is null ? 0 : FirstBehind(tags, last);
        var most = Math.Min(count ?? int.MaxValue, tags.Count - from);
        string[] page = new string[most];
        for (var i = 0; i < most; i++)
            page[i] = tags[from + i];
        return new TagPage(page, most > 0 && from + most < tags.Count);
    }

    private static int FirstBehind(IReadOnlyList<string> tags, string last)
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
