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

    /// <summary>The names after one, in the order of <see cref="RepositoryName.CompareTo"/>.</summary>
    /// <param name="path">The folder of all repositories.</param>
    /// <param name="after">Null for all names.</param>
    public IEnumerable<RepositoryName> Names(string path, RepositoryName? after) =>
        Walk(path, _folders.Read(path).Children, "", after is { } last ? $"{last}/" : "");

    private IEnumerable<RepositoryName> Walk(string path, string[] children, string prefix, string after)
    {
        foreach (var child in children)
        {
            var key = $"{prefix}{child}/";
            var holdsLast = after.StartsWith(key, StringComparison.Ordinal);
            if (!holdsLast && string.CompareOrdinal(key, after) < 0)
                continue;
            var folder = $"{path}/{child}";
            var listing = _folders.Read(folder);
            if (listing.IsRepository && !holdsLast && RepositoryName.TryParse(key[..^1], out var name))
                yield return name;
            foreach (var below in Walk(folder, listing.Children, key, holdsLast ? after : ""))
                yield return below;
        }
    }

    private static Listing Read(string path, UnreadableFolders unreadable)
    {
        string[] all = [.. Entries.Folders(path, unreadable).Select(Path.GetFileName).OfType<string>()];
        string[] children = [.. all.Where(child => RepositoryName.TryParse(child, out _))
            .Order(Comparer<string>.Create((left, right) => string.CompareOrdinal($"{left}/", $"{right}/")))];
        return new(children, all.Any(RegistryLayout.RepositorySubfolders.Contains));
    }

    private sealed record Listing(string[] Children, bool IsRepository);
}
