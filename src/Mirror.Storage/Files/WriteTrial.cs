using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>
/// Tries whether a store in a folder takes writes in each place where it writes. Some of them may belong to another user, such as after
/// <c>chown</c> without <c>-R</c>, or after a restore.
/// </summary>
public static class WriteTrial
{
    // A disk that does not accept so many bytes counts as full.
    private const int Room = 1 << 20;
    private const int Block = 4096;

    // So that a large repository costs little.
    private const int MaxFolders = 1000;

    // Not the root: the server writes there only where one of these is missing. Volumes may be mounted below a root that is read-only.
    private static readonly string[] Places =
    [
        RegistryLayout.Temporary, RegistryLayout.Fills, RegistryLayout.Pushed, RegistryLayout.Copied, RegistryLayout.Repositories,
        .. Digest.Algorithms.Select(RegistryLayout.Blobs),
    ];

    // They are on the disk of other places.
    private static readonly string[] PlacesOfRights =
    [
        RegistryLayout.Dates, RegistryLayout.Pins, RegistryLayout.Notifications,
        .. Digest.Algorithms.Select(algorithm => $"{RegistryLayout.Fills}/{algorithm}"),
    ];

    /// <summary>Returns if the store takes writes.</summary>
    /// <param name="root">The store's folder.</param>
    /// <param name="repositories">Repositories whose folders are looked at as well.</param>
    /// <param name="isFlushed">As for <see cref="Write"/>.</param>
    /// <exception cref="UnauthorizedAccessException">This process may not write to one of the places.</exception>
    /// <exception cref="IOException">The disk does not take a file.</exception>
    public static void Run(string root, IEnumerable<RepositoryName> repositories, bool isFlushed = false)
    {
        foreach (var place in Places)
            Write(Existing(root, place), place is RegistryLayout.Temporary ? Room : Block, isFlushed);
        foreach (var place in PlacesOfRights)
            Look(Existing(root, place));
        foreach (var algorithm in Digest.Algorithms)
            foreach (var folder in Entries.Folders(Path.Combine(root, RegistryLayout.Blobs(algorithm))))
                if (RegistryLayout.IsContentPrefix(folder))
                    Look(folder);
        foreach (var name in repositories)
            LookBelow(
            [
                Existing(root, RegistryLayout.Repository(name)),
                .. new[] { Provenance.Pushed, Provenance.Copied }.Select(mark => Existing(root, $"{RegistryLayout.Marks(mark)}/{name}")),
            ]);
    }

    /// <summary>Returns if a file can be written in the folder. Nothing stays of it.</summary>
    /// <inheritdoc cref="Run" path="/exception"/>
    /// <param name="isFlushed">Whether the file reaches the disk: some file systems report a quota only then.</param>
    public static void Write(string folder, int bytes = Block, bool isFlushed = false)
    {
        try
        {
            var path = Path.Combine(folder, $".trial-{Path.GetRandomFileName()}");
            using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
            file.Write(new byte[bytes]);
            file.Flush(isFlushed);
        }
        catch (UnauthorizedAccessException refused)
        {
            throw Refused(folder, refused);
        }
        catch (IOException failure)
        {
            throw new IOException($"user {ProcessUser.Name} cannot write to the folder {folder}: {failure.Message}", failure)
            {
                HResult = failure.HResult,
            };
        }
    }

    // A place that is missing is made in the nearest folder above it.
    private static string Existing(string root, string place)
    {
        var folder = Path.Combine(root, place);
        while (folder.Length > root.Length && !Entries.HasFolder(folder))
            folder = Path.GetDirectoryName(folder)!;
        return folder;
    }

    private static void LookBelow(IEnumerable<string> folders)
    {
        Queue<string> next = new(folders);
        for (var looked = 0; looked < MaxFolders && next.TryDequeue(out var folder); looked++)
        {
            Look(folder);
            // Links are in folders of their own, and a store writes to none of them again.
            if (!Digest.Algorithms.Contains(Path.GetFileName(folder)))
                foreach (var child in Entries.Folders(folder).Where(child => Reference.IsTagName(Path.GetFileName(child))))
                    next.Enqueue(child);
        }
    }

    // By the rights alone: this leaves no traces, and there are many folders.
    private static void Look(string folder)
    {
        if (Folders.IsForbidden(folder))
            throw Refused(folder, null);
    }

    private static UnauthorizedAccessException Refused(string folder, Exception? cause) =>
        new($"user {ProcessUser.Name} has no right to write to the folder {folder}", cause);
}
