using System.Globalization;
using System.Runtime.CompilerServices;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>Pushes on their way in, where <c>registry:2</c> keeps its own.</summary>
/// <param name="root">The folder that holds <c>docker/</c>; made when first written to.</param>
public sealed class FileUploadStore(string root) : IUploadStore
{
    private readonly string _root = Path.GetFullPath(root);

    public async ValueTask StartAsync(RepositoryName name, Guid id, DateTimeOffset now, CancellationToken cancellationToken)
    {
        // Nothing is flushed: what is lost with the power was not acknowledged as stored.
        Directory.CreateDirectory(PathOf(RegistryLayout.Upload(name, id)));
        try
        {
            await File.WriteAllTextAsync(
                PathOf(RegistryLayout.UploadStarted(name, id)), now.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture), cancellationToken);
            await File.WriteAllBytesAsync(PathOf(RegistryLayout.UploadData(name, id)), [], cancellationToken);
        }
        catch
        {
            await DeleteAsync(name, id, CancellationToken.None);
            throw;
        }
    }

    public ValueTask<long?> LengthAsync(RepositoryName name, Guid id, CancellationToken cancellationToken)
    {
        var data = new FileInfo(PathOf(RegistryLayout.UploadData(name, id)));
        return ValueTask.FromResult(data.Exists ? data.Length : Directory.Exists(PathOf(RegistryLayout.Upload(name, id))) ? 0 : (long?)null);
    }

    public ValueTask<Spool?> OpenAsync(RepositoryName name, Guid id, string algorithm, CancellationToken cancellationToken)
    {
        try
        {
            return ValueTask.FromResult<Spool?>(Spool.Open(PathOf(RegistryLayout.UploadData(name, id)), algorithm));
        }
        catch (DirectoryNotFoundException)
        {
            return ValueTask.FromResult<Spool?>(null);
        }
    }

    public ValueTask<bool> DeleteAsync(RepositoryName name, Guid id, CancellationToken cancellationToken)
    {
        try
        {
            Directory.Delete(PathOf(RegistryLayout.Upload(name, id)), recursive: true);
            return ValueTask.FromResult(true);
        }
        catch (DirectoryNotFoundException)
        {
            return ValueTask.FromResult(false);
        }
    }

    public async IAsyncEnumerable<StoredUpload> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        var root = PathOf(RegistryLayout.Repositories);
        // Every folder, not only repositories: a name whose first push never ended has nothing but its uploads.
        foreach (var uploads in Walk(root))
        {
            if (!RepositoryName.TryParse(Path.GetRelativePath(root, Path.GetDirectoryName(uploads)!), out var name))
                continue;
            foreach (var folder in Folders(uploads))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (Guid.TryParseExact(folder.Name, "D", out var id))
                    yield return new StoredUpload(name, id, LastWritten(folder));
            }
        }
    }

    private static IEnumerable<string> Walk(string folder)
    {
        foreach (var child in Folders(folder))
        {
            if (child.Name == "_uploads")
                yield return child.FullName;
            else if (!child.Name.StartsWith('_'))
                foreach (var below in Walk(child.FullName))
                    yield return below;
        }
    }

    // Folders come and go while they are walked.
    private static IReadOnlyList<DirectoryInfo> Folders(string parent)
    {
        try
        {
            return [.. new DirectoryInfo(parent).EnumerateDirectories()];
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
    }

    private static DateTimeOffset LastWritten(DirectoryInfo upload)
    {
        var data = new FileInfo(Path.Combine(upload.FullName, "data"));
        return data.Exists ? data.LastWriteTimeUtc : upload.LastWriteTimeUtc;
    }

    private string PathOf(string relative) => Path.Combine(_root, relative);
}
