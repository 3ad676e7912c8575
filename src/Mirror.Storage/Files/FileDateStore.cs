using System.Runtime.CompilerServices;
using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>Dates as small files.</summary>
/// <param name="root">The folder that holds <c>mirror/</c>; created by the first write.</param>
public sealed class FileDateStore(StoreRoot root) : IDateStore
{
    private const int MaxLength = 64;

    public async ValueTask<DateTimeOffset?> ReadAsync(string path, CancellationToken cancellationToken)
    {
        return Entries.File(root.PathOf(path)) is { Length: <= MaxLength } file
            ? NotedDate.Parse(await File.ReadAllTextAsync(file.FullName, cancellationToken))
            : null;
    }

    public ValueTask WriteAsync(string path, DateTimeOffset noted, CancellationToken cancellationToken)
    {
        root.Write(() => Durable.WriteFile(root.PathOf(RegistryLayout.Temporary), root.PathOf(path), NotedDate.Bytes(noted)));
        return ValueTask.CompletedTask;
    }

    public ValueTask DeleteAsync(string path, CancellationToken cancellationToken)
    {
        if (Entries.HasFile(root.PathOf(path)))
            File.Delete(root.PathOf(path));
        return ValueTask.CompletedTask;
    }

    public async IAsyncEnumerable<string> ListAsync(string folder, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        Stack<string> folders = new([root.PathOf(folder)]);
        while (folders.TryPop(out var next))
        {
            cancellationToken.ThrowIfCancellationRequested();
            foreach (var child in Entries.Folders(next))
                folders.Push(child);
            foreach (var file in Entries.Files(next))
                yield return Path.GetRelativePath(root.Path, file);
        }
        root.Require();
    }
}
