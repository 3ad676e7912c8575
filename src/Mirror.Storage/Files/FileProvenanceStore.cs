using System.Runtime.CompilerServices;
using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>Marks as empty files in the tree of <see cref="RegistryLayout"/>.</summary>
/// <param name="root">The folder that holds <c>mirror/</c>; created by the first write.</param>
/// <param name="unreadable">Collects the folders that this process may not read.</param>
public sealed class FileProvenanceStore(StoreRoot root, UnreadableFolders? unreadable = null) : IProvenanceStore
{
    public ValueTask MarkAsync(RepositoryName name, Digest digest, Provenance provenance, CancellationToken cancellationToken)
    {
        var path = PathOf(RegistryLayout.Mark(name, digest, provenance));
        root.Write(() =>
        {
            if (!SweepableFile.Touch(path))
                Durable.WriteFile(PathOf(RegistryLayout.Temporary), path, [], SweepableFile.Publish);
        });
        return ValueTask.CompletedTask;
    }

    public ValueTask<Provenance?> FindAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult<Provenance?>(
            Has(name, digest, Provenance.Pushed) ? Provenance.Pushed
            : Has(name, digest, Provenance.Copied) ? Provenance.Copied
            : null);

    public ValueTask ForgetAsync(RepositoryName name, Digest digest, Provenance provenance, CancellationToken cancellationToken)
    {
        var path = PathOf(RegistryLayout.Mark(name, digest, provenance));
        if (SweepableFile.Exists(path))
            File.Delete(path);
        return ValueTask.CompletedTask;
    }

    public async IAsyncEnumerable<Digest> ListAsync(
        RepositoryName name, Provenance provenance, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        foreach (var algorithm in Digest.Algorithms)
            foreach (var file in Entries.Files(PathOf(RegistryLayout.Marks(name, provenance, algorithm)), unreadable))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (Digest.TryParse($"{algorithm}:{Path.GetFileName(file)}", out var digest))
                    yield return digest;
            }
        root.Require();
    }

    public async IAsyncEnumerable<RepositoryName> ListPushedAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        var top = PathOf(RegistryLayout.Pushed);
        Stack<string> folders = new([top]);
        while (folders.TryPop(out var folder))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var hasMarks = false;
            foreach (var child in Entries.Folders(folder, unreadable))
                if (!Path.GetFileName(child).StartsWith('_'))
                    folders.Push(child);
                else
                    hasMarks |= Entries.Files(child, unreadable).Any();
            if (hasMarks && RepositoryName.TryParse(Path.GetRelativePath(top, folder), out var name))
                yield return name;
        }
        root.Require();
    }

    public async ValueTask<byte[]?> ReadScheduleAsync(int maxBytes, CancellationToken cancellationToken)
    {
        return Entries.File(PathOf(RegistryLayout.Schedule)) is { } file && file.Length <= maxBytes
            ? await File.ReadAllBytesAsync(file.FullName, cancellationToken)
            : null;
    }

    public ValueTask WriteScheduleAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        root.Write(() => Durable.WriteFile(PathOf(RegistryLayout.Temporary), PathOf(RegistryLayout.Schedule), bytes.Span));
        return ValueTask.CompletedTask;
    }

    private bool Has(RepositoryName name, Digest digest, Provenance provenance) =>
        SweepableFile.Exists(PathOf(RegistryLayout.Mark(name, digest, provenance)));

    private string PathOf(string relative) => root.PathOf(relative);
}
