using System.Runtime.CompilerServices;
using Mirror.Storage.Disk;
using Mirror.Storage.Files;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets.Folder;

/// <summary>
/// A folder as a bucket, for the small objects of a store that keeps its content elsewhere. It holds an object in memory while it writes
/// it.
/// </summary>
public sealed class FolderBucket : IBucket
{
    // What a volume has at its top, and only root may read.
    private const string LostAndFound = "lost+found";

    private readonly StoreRoot _root;

    /// <param name="folder">The folder; created by the first write.</param>
    public FolderBucket(string folder)
    {
        _root = new(folder, isChecked: true);
        Name = $"{_root.Path}/";
    }

    public string Name { get; }

    public ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken) => new(Guarded(() => Find(path)?.Length));

    public async ValueTask<string?> ReadTextAsync(string path, CancellationToken cancellationToken)
    {
        await using var body = Open(path);
        return body is null ? null : await BucketText.ReadAsync(body, cancellationToken);
    }

    public ValueTask<Stream?> OpenAsync(string path, long from, long until, CancellationToken cancellationToken)
    {
        var body = Open(path);
        body?.Seek(from, SeekOrigin.Begin);
        return new((Stream?)body);
    }

    public async ValueTask<bool> PutAsync(
        string path, Func<Stream> open, long length, bool onlyIfAbsent, CancellationToken cancellationToken)
    {
        var bytes = new byte[length];
        await using (var body = open())
            await body.ReadExactlyAsync(bytes, cancellationToken);
        var isWritten = true;
        Guarded(() =>
        {
            _root.Write(() => Durable.WriteFile(_root.PathOf(RegistryLayout.Temporary), _root.PathOf(path), bytes, onlyIfAbsent
                ? (from, to) => isWritten = Publish(from, to)
                : null));
            _root.Mark();
            return true;
        });
        return isWritten;
    }

    /// <summary>Not for content: all that is written here is small.</summary>
    public ValueTask<IBucketUpload> BeginUploadAsync(string path, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <summary>None: what a write left in the temporary folder is no upload.</summary>
    public IAsyncEnumerable<(IBucketUpload Upload, DateTimeOffset Begun)> ListUploadsAsync(
        string folder, CancellationToken cancellationToken) => AsyncEnumerable.Empty<(IBucketUpload, DateTimeOffset)>();

    public ValueTask DeleteAsync(string path, CancellationToken cancellationToken)
    {
        Guarded(() => _root.Write(() =>
        {
            if (!Durable.DeleteFile(_root.PathOf(RegistryLayout.Temporary), _root.PathOf(path)))
                return false;
            for (var folder = FolderOf(path); folder.Length > 0; folder = FolderOf(folder))
                SweepableFile.RemoveIfEmpty(_root.PathOf(folder));
            return true;
        }));
        return ValueTask.CompletedTask;
    }

    public async IAsyncEnumerable<BucketObject> ListAsync(
        string prefix, int? max, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        foreach (var (path, file) in Below(FolderOf(prefix), prefix[(prefix.LastIndexOf('/') + 1)..]).Take(max ?? int.MaxValue))
        {
            cancellationToken.ThrowIfCancellationRequested();
            // A file may be gone since its folder was read.
            if (Guarded(() => Disk.Entries.File(file.FullName)) is { } found)
                yield return new BucketObject(path, found.LastWriteTimeUtc, found.Length);
        }
    }

    public ValueTask<List<string>> ListFoldersAsync(string folder, string prefix, CancellationToken cancellationToken) => new([
        .. Entries(folder, prefix).OfType<DirectoryInfo>().Select(child => child.Name).Where(name => Below($"{folder}/{name}", "").Any()),
    ]);

    /// <summary>Null: a folder has no address.</summary>
    public ValueTask<Uri?> LocateAsync(string path, TimeSpan validity, CancellationToken cancellationToken) => new((Uri?)null);

    public void Dispose()
    {
        // A folder needs no end.
    }

    private static string FolderOf(string path) => path.LastIndexOf('/') is > 0 and var slash ? path[..slash] : "";

    // As File.Move, but leaves a file that is there.
    private static bool Publish(string from, string to)
    {
        var folder = Path.GetDirectoryName(to)!;
        bool isWritten;
        do
            Durable.CreateFolder(folder);
        while (!(isWritten = Durable.Link(from, to)) && !File.Exists(to));
        DiskFlush.OfFolder(folder);
        File.Delete(from);
        return isWritten;
    }

    private static T Guarded<T>(Func<T> call)
    {
        try
        {
            return call();
        }
        catch (Exception failure) when (failure.IsStoreFailure && failure is not StoreUnavailableException)
        {
            // The number tells a full disk from others.
            throw new StoreUnavailableException(failure.Message, failure) { HResult = failure.HResult };
        }
    }

    private FileInfo? Find(string path)
    {
        var file = Disk.Entries.File(_root.PathOf(path));
        return _root.Found(file, file is null);
    }

    private FileStream? Open(string path) => Guarded(() =>
    {
        try
        {
            return new FileStream(_root.PathOf(path), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (Exception missing) when (missing is FileNotFoundException or DirectoryNotFoundException)
        {
            return _root.Found((FileStream?)null, isMissing: true);
        }
    });

    // Files at any depth, in ordinal order of their paths.
    private IEnumerable<(string Path, FileInfo File)> Below(string folder, string prefix)
    {
        foreach (var entry in Entries(folder, prefix))
        {
            var path = folder.Length == 0 ? entry.Name : $"{folder}/{entry.Name}";
            if (entry is FileInfo file)
                yield return (path, file);
            else if (path is not (RegistryLayout.Temporary or LostAndFound))
                foreach (var found in Below(path, ""))
                    yield return found;
        }
    }

    private FileSystemInfo[] Entries(string folder, string prefix) => Guarded(() =>
    {
        try
        {
            FileSystemInfo[] found =
            [
                .. new DirectoryInfo(_root.PathOf(folder)).EnumerateFileSystemInfos()
                    .Where(entry => entry.Name.StartsWith(prefix, StringComparison.Ordinal))
                    .OrderBy(entry => entry is DirectoryInfo ? $"{entry.Name}/" : entry.Name, StringComparer.Ordinal),
            ];
            return _root.Found(found, found.Length == 0);
        }
        catch (DirectoryNotFoundException)
        {
            return _root.Found<FileSystemInfo[]>([], isMissing: true);
        }
    });
}
