using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>The entries of referrers, one small file each, in the tree of <see cref="RegistryLayout"/>.</summary>
/// <param name="root">The folder that holds <c>docker/</c>; created by the first write.</param>
/// <param name="unreadable">Collects the folders that this process may not read.</param>
public sealed class FileReferrerStore(StoreRoot root, UnreadableFolders? unreadable = null) : IReferrerStore
{
    public ValueTask AddAsync(
        RepositoryName name, Digest subject, Digest referrer, ReadOnlyMemory<byte> descriptor, CancellationToken cancellationToken)
    {
        var path = PathOf(RegistryLayout.Referrer(name, subject, referrer));
        root.Write(() => Durable.WriteFile(PathOf(RegistryLayout.Temporary), path, descriptor.Span));
        return ValueTask.CompletedTask;
    }

    public ValueTask<bool> RemoveAsync(RepositoryName name, Digest subject, Digest referrer, CancellationToken cancellationToken)
    {
        var path = PathOf(RegistryLayout.Referrer(name, subject, referrer));
        return ValueTask.FromResult(
            root.Write(() => Entries.HasFile(path) && Durable.DeleteFile(PathOf(RegistryLayout.Temporary), path)));
    }

    public ValueTask<IReadOnlyList<Digest>> ListAsync(RepositoryName name, Digest subject, CancellationToken cancellationToken)
    {
        var folder = PathOf(RegistryLayout.Referrers(name, subject));
        List<Digest> referrers = [];
        foreach (var file in Entries.OrRefuse<string[]>(folder, unreadable, static path => [.. Entries.Files(path)]))
            if (Digest.TryParse(Path.GetFileName(file).Replace('-', ':'), out var referrer))
                referrers.Add(referrer);
        return ValueTask.FromResult<IReadOnlyList<Digest>>(root.Found(referrers, referrers.Count == 0));
    }

    public async ValueTask<byte[]?> ReadAsync(RepositoryName name, Digest subject, Digest referrer, CancellationToken cancellationToken)
    {
        var path = PathOf(RegistryLayout.Referrer(name, subject, referrer));
        try
        {
            return await File.ReadAllBytesAsync(path, cancellationToken);
        }
        catch (UnauthorizedAccessException refused)
        {
            throw Entries.Refused(path, unreadable, refused);
        }
        catch (Exception missing) when (missing is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    private string PathOf(string relative) => root.PathOf(relative);
}
