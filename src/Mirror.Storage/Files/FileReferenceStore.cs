using System.Runtime.CompilerServices;
using System.Text;
using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>Links and tags as small files in the tree of <see cref="RegistryLayout"/>.</summary>
/// <param name="root">The folder that holds <c>docker/</c>; created by the first write.</param>
/// <param name="unreadable">Collects the folders that this process may not read.</param>
/// <param name="time">The clock of what is remembered; null is the system's.</param>
public sealed class FileReferenceStore(StoreRoot root, UnreadableFolders? unreadable = null, TimeProvider? time = null) : IReferenceStore
{
    // A digest has at most 135 characters and a media type 255. A longer file comes from another program.
    private const int MaxLink = 1024;

    private readonly RememberedFolders<string[]> _tags =
        new((folder, _) => Tags(folder), tags => tags.Length, unreadable, time ?? TimeProvider.System);
    private readonly RepositoryFolders _folders = new(unreadable, time ?? TimeProvider.System);

    public ValueTask<bool> ExistsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Found(OrRefuse(PathOf(RegistryLayout.Repository(name)), IsRepository)));

    public ValueTask LinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        WriteOrTouch(RegistryLayout.LayerLink(name, digest), digest.ToString());
        return ValueTask.CompletedTask;
    }

    public ValueTask<bool> HasBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Found(HasLink(RegistryLayout.LayerLink(name, digest))));

    public ValueTask<bool> TouchBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult(root.Write(() => SweepableFile.Touch(PathOf(RegistryLayout.LayerLink(name, digest)))));

    public ValueTask<bool> UnlinkBlobAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult(DeleteFolder(Path.GetDirectoryName(RegistryLayout.LayerLink(name, digest))!));

    public ValueTask LinkManifestAsync(RepositoryName name, Digest digest, string? mediaType, CancellationToken cancellationToken)
    {
        // The media type first: as soon as the link exists, clients may ask for the manifest.
        var typePath = RegistryLayout.RevisionMediaType(name, digest);
        if (mediaType is not null)
            Write(typePath, mediaType);
        else if (Entries.HasFile(PathOf(typePath)))
            root.Write(() => Durable.DeleteFile(PathOf(RegistryLayout.Temporary), PathOf(typePath)));
        // registry:2 lists and marks only repositories with this folder. Without it, its garbage collector would delete the manifest.
        root.Write(() => Durable.CreateFolder(PathOf(RegistryLayout.Layers(name))));
        WriteOrTouch(RegistryLayout.RevisionLink(name, digest), digest.ToString());
        return ValueTask.CompletedTask;
    }

    public ValueTask<(bool Linked, string? MediaType)> FindManifestAsync(
        RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Found(HasLink(RegistryLayout.RevisionLink(name, digest)))
            ? (true, Read(RegistryLayout.RevisionMediaType(name, digest)))
            : (false, null));

    public ValueTask<bool> TouchManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult(root.Write(() => SweepableFile.Touch(PathOf(RegistryLayout.RevisionLink(name, digest)))));

    public ValueTask<bool> UnlinkManifestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult(DeleteFolder(RegistryLayout.Revision(name, digest)));

    public ValueTask<Digest?> ResolveTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) => ValueTask.FromResult(
        Found(Digest.TryParse(Read(RegistryLayout.TagCurrent(name, tag))?.Trim(), out var digest)) ? digest : (Digest?)null);

    public ValueTask SetTagAsync(RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken)
    {
        WriteOrTouch(RegistryLayout.TagIndex(name, tag, digest), digest.ToString());
        Write(RegistryLayout.TagCurrent(name, tag), digest.ToString());
        return ValueTask.CompletedTask;
    }

    public ValueTask<bool> DeleteTagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        ValueTask.FromResult(DeleteFolder(RegistryLayout.Tag(name, tag)));

    public ValueTask<IReadOnlyList<string>> ListTagsAsync(RepositoryName name, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<string>>(Found(OrRefuse(PathOf(RegistryLayout.Tags(name)), Tags)));

    public ValueTask<IReadOnlyList<string>> ListTagsForClientAsync(RepositoryName name, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<string>>(Found(OrRefuse(PathOf(RegistryLayout.Tags(name)), _tags.Read)));

    public async IAsyncEnumerable<RepositoryName> ListRepositoriesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        var top = PathOf(RegistryLayout.Repositories);
        foreach (var folder in Walk(top))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (RepositoryName.TryParse(Path.GetRelativePath(top, folder), out var name))
                yield return name;
        }
        root.Require();
    }

    public async IAsyncEnumerable<RepositoryName> ListRepositoriesAfterAsync(
        string after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        var top = PathOf(RegistryLayout.Repositories);
        // Of the folders below, another program may have closed its own. While this one is closed, no repository can be listed.
        OrRefuse(top, folder => Entries.Folders(folder).Any());
        foreach (var name in _folders.Names(top, after))
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return name;
        }
        root.Require();
    }

    private static string[] Tags(string folder)
    {
        string[] tags = [.. Entries.Folders(folder).Select(Path.GetFileName).OfType<string>().Where(Reference.IsTagName)];
        Array.Sort(tags, StringComparer.Ordinal);
        return tags;
    }

    // Other programs' folders, such as lost+found and .snapshot, are no part of a name.
    private IEnumerable<string> Walk(string folder)
    {
        string[] children =
        [
            .. Entries.Folders(folder, unreadable)
                .Where(child => RepositoryName.TryParse(Path.GetFileName(child), out _)).Order(StringComparer.Ordinal),
        ];
        foreach (var (child, isBelow) in LexicalWalk.Steps(children))
            if (isBelow)
                foreach (var below in Walk(child))
                    yield return below;
            else if (Entries.OrSkip(child, unreadable, () => IsRepository(child)))
                yield return child;
    }

    private static bool IsRepository(string folder) =>
        RegistryLayout.RepositorySubfolders.Any(name => Entries.HasFolder(Path.Combine(folder, name)));

    private bool HasLink(string path) => OrRefuse(PathOf(path), SweepableFile.Exists);

    private T OrRefuse<T>(string path, Func<string, T> read) => Entries.OrRefuse(path, unreadable, read);

    private string? Read(string path)
    {
        try
        {
            // Most of these files do not exist, and an exception takes more time than the rest of a request for a manifest.
            if (!Entries.HasFile(PathOf(path)))
                return null;
            using var file = File.OpenHandle(PathOf(path));
            Span<byte> bytes = stackalloc byte[MaxLink];
            return Encoding.UTF8.GetString(bytes[..RandomAccess.Read(file, bytes, 0)]);
        }
        catch (UnauthorizedAccessException refused)
        {
            throw Entries.Refused(PathOf(path), unreadable, refused);
        }
        catch (Exception missing) when (missing is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    // The text of a link never changes, so an existing link need not be written and flushed again, unless it was damaged.
    private void WriteOrTouch(string path, string text) => root.Write(() =>
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        if (!(FileBytes.Are(PathOf(path), bytes) && SweepableFile.Touch(PathOf(path))))
            Durable.WriteFile(PathOf(RegistryLayout.Temporary), PathOf(path), bytes, SweepableFile.Publish);
    });

    private void Write(string path, string text) =>
        root.Write(() => Durable.WriteFile(PathOf(RegistryLayout.Temporary), PathOf(path), Encoding.UTF8.GetBytes(text)));

    private bool DeleteFolder(string folder) =>
        root.Write(() => Durable.DeleteFolder(PathOf(RegistryLayout.Temporary), PathOf(folder)));

    private bool Found(bool exists) => root.Found(exists, !exists);

    private string[] Found(string[] tags) => root.Found(tags, tags.Length == 0);

    private string PathOf(string relative) => root.PathOf(relative);
}
