using System.Runtime.CompilerServices;
using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>The pins of a store in a folder, as empty files.</summary>
/// <param name="root">The folder that holds <c>mirror/</c>; created by the first write.</param>
/// <param name="unreadable">Collects the folders that this process may not read.</param>
public sealed class FilePinStore(StoreRoot root, UnreadableFolders? unreadable = null) : IPinStore
{
    public ValueTask PinAsync(RepositoryName name, string tag, CancellationToken cancellationToken)
    {
        root.Write(() => Durable.WriteFile(root.PathOf(RegistryLayout.Temporary), PathOf(name, tag), []));
        return ValueTask.CompletedTask;
    }

    public ValueTask<bool> UnpinAsync(RepositoryName name, string tag, CancellationToken cancellationToken) => ValueTask.FromResult(
        Entries.HasFile(PathOf(name, tag))
            && root.Write(() => Durable.DeleteFile(root.PathOf(RegistryLayout.Temporary), PathOf(name, tag))));

    public ValueTask<bool> IsPinnedAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Entries.HasFile(PathOf(name, tag)));

    public async IAsyncEnumerable<(RepositoryName Name, string Tag)> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        var top = root.PathOf(RegistryLayout.Pins);
        Stack<string> folders = new([top]);
        while (folders.TryPop(out var folder))
        {
            cancellationToken.ThrowIfCancellationRequested();
            foreach (var child in Entries.Folders(folder, unreadable))
                folders.Push(child);
            if (folder != top && RepositoryName.TryParse(Path.GetRelativePath(top, folder), out var name))
                foreach (var file in Entries.Files(folder, unreadable))
                    if (RegistryLayout.PinnedTag(Path.GetFileName(file)) is { } tag)
                        yield return (name, tag);
        }
        root.Require();
    }

    private string PathOf(RepositoryName name, string tag) => root.PathOf(RegistryLayout.Pin(name, tag));
}
