using System.Globalization;
using System.Runtime.CompilerServices;
using Mirror.Storage.Disk;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>Uploads as files, in the place where <c>registry:2</c> has its own.</summary>
/// <param name="root">The folder that holds <c>docker/</c>; created by the first write.</param>
/// <param name="unreadable">Collects the folders that this process may not read.</param>
public sealed class FileUploadStore(StoreRoot root, UnreadableFolders? unreadable = null) : IUploadStore
{
    public void Start(RepositoryName name, Guid id, DateTimeOffset now)
    {
        var started = now.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        root.Write(() =>
        {
            // Flush the repository's folder, because it will have more than uploads. Do not flush the upload: after a power cut the client
            // starts the upload again.
            Durable.CreateFolder(PathOf(RegistryLayout.Uploads(name)));
            Directory.CreateDirectory(PathOf(RegistryLayout.Upload(name, id)));
            try
            {
                File.WriteAllText(PathOf(RegistryLayout.UploadStarted(name, id)), started);
                File.WriteAllBytes(PathOf(RegistryLayout.UploadData(name, id)), []);
            }
            catch
            {
                Directory.Delete(PathOf(RegistryLayout.Upload(name, id)), recursive: true);
                throw;
            }
        });
    }

    public VolumeRoom Room()
    {
        root.Require();
        return VolumeRoom.Of(root.Path);
    }

    public ValueTask<long?> LengthAsync(RepositoryName name, Guid id, CancellationToken cancellationToken)
    {
        var length = Entries.File(PathOf(RegistryLayout.UploadData(name, id)))?.Length
            ?? (Entries.HasFolder(PathOf(RegistryLayout.Upload(name, id))) ? 0 : null);
        return ValueTask.FromResult(root.Found(length, length is null));
    }

    public Spool? Open(RepositoryName name, Guid id, string algorithm)
    {
        try
        {
            return Spool.Open(PathOf(RegistryLayout.UploadData(name, id)), algorithm);
        }
        catch (DirectoryNotFoundException)
        {
            root.Require();
            return null;
        }
    }

    public ValueTask<bool> DeleteAsync(RepositoryName name, Guid id, CancellationToken cancellationToken)
    {
        try
        {
            Folders.Delete(PathOf(RegistryLayout.Upload(name, id)));
            return ValueTask.FromResult(true);
        }
        catch (DirectoryNotFoundException)
        {
            return ValueTask.FromResult(false);
        }
    }

    public ValueTask<bool> DeleteIdleAsync(RepositoryName name, Guid id, DateTimeOffset before, CancellationToken cancellationToken) =>
        ValueTask.FromResult(DeleteIdle(name, id, before));

    private bool DeleteIdle(RepositoryName name, Guid id, DateTimeOffset before)
    {
        var folder = new DirectoryInfo(PathOf(RegistryLayout.Upload(name, id)));
        if (!folder.Exists)
            return false;
        try
        {
            // A process that continues the upload locks this file. While this process has the lock, no other one can continue the upload.
            var data = PathOf(RegistryLayout.UploadData(name, id));
            using (File.Exists(data) ? File.OpenHandle(data, FileMode.Open, FileAccess.ReadWrite, FileShare.None) : null)
            {
                if (Found(name, id, folder).LastWritten >= before)
                    return false;
                foreach (var below in folder.GetDirectories())
                    below.Delete(recursive: true);
                foreach (var file in folder.GetFiles())
                    file.Delete();
            }
            // Only now, because NFS keeps a file that is deleted while it is open, and so its folder. And only an empty folder: a process
            // may just have begun the upload again in it.
            folder.Delete();
            return true;
        }
        catch (Exception used) when (used.IsStoreFailure && used is not StoreUnavailableException)
        {
            return false;
        }
    }

    public async IAsyncEnumerable<StoredUpload> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        var top = PathOf(RegistryLayout.Repositories);
        // Look at names without content too: before the first push to a repository ends, it has only the folder of its uploads.
        foreach (var uploads in Walk(top))
        {
            if (!RepositoryName.TryParse(Path.GetRelativePath(top, Path.GetDirectoryName(uploads)!), out var name))
                continue;
            foreach (var folder in FoldersIn(uploads))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (Guid.TryParseExact(folder.Name, "D", out var id))
                    yield return Found(name, id, folder);
            }
        }
    }

    private IEnumerable<string> Walk(string folder)
    {
        foreach (var child in FoldersIn(folder))
        {
            if (child.Name == "_uploads")
                yield return child.FullName;
            else if (RepositoryName.TryParse(child.Name, out _))
                foreach (var below in Walk(child.FullName))
                    yield return below;
        }
    }

    // Folders may be created and deleted meanwhile.
    private IReadOnlyList<DirectoryInfo> FoldersIn(string parent) =>
        [.. Entries.Folders(parent, unreadable).Select(folder => new DirectoryInfo(folder))];

    private static StoredUpload Found(RepositoryName name, Guid id, DirectoryInfo upload)
    {
        var data = new FileInfo(Path.Combine(upload.FullName, "data"));
        return data.Exists ? new(name, id, data.Length, data.LastWriteTimeUtc) : new(name, id, 0, upload.LastWriteTimeUtc);
    }

    private string PathOf(string relative) => root.PathOf(relative);
}
