using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>
/// The names of the repositories, from the sorted children of each folder. A page costs one look at the modification time of each folder on
/// this page, however many folders come before.
/// </summary>
internal sealed class RepositoryFolders(UnreadableFolders? unreadable, TimeProvider time)
{
    private readonly RememberedFolders<Listing> _folders = new(Read, listing => listing.Children.Length, unreadable, time);

    /// <summary>The names after a text, in lexical order.</summary>
    /// <param name="path">The folder of all repositories.</param>
    /// <param name="after">Empty for all names.</param>
    public IEnumerable<RepositoryName> Names(string path, string after) => Walk(path, _folders.Read(path).Children, "", after);

    private IEnumerable<RepositoryName> Walk(string path, string[] children, string prefix, string after)
    {
        // Most folders have no sibling between their two steps: then one look is enough for both.
        var (looked, listing) = ("", default(Listing)!);
        foreach (var (child, isBelow) in LexicalWalk.Steps(children))
        {
            var key = isBelow ? $"{prefix}{child}/" : prefix + child;
            if (string.CompareOrdinal(key, after) <= 0 && !(isBelow && after.StartsWith(key, StringComparison.Ordinal)))
                continue;
            var folder = $"{path}/{child}";
            if (looked != child)
                (looked, listing) = (child, _folders.Read(folder));
            if (isBelow)
                foreach (var below in Walk(folder, listing.Children, key, after))
                    yield return below;
            else if (listing.IsRepository && RepositoryName.TryParse(key, out var name))
                yield return name;
        }
    }

    private static Listing Read(string path, UnreadableFolders unreadable)
    {
        string[] all = [.. Entries.Folders(path, unreadable).Select(Path.GetFileName).OfType<string>()];
        string[] children = [.. all.Where(child => RepositoryName.TryParse(child, out _)).Order(StringComparer.Ordinal)];
        return new(children, all.Any(RegistryLayout.RepositorySubfolders.Contains));
    }

    private sealed record Listing(string[] Children, bool IsRepository);
}
