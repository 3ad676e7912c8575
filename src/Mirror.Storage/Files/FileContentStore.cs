using System.Runtime.CompilerServices;
using Mirror.Storage.Disk;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>Content as files in the tree of <see cref="RegistryLayout"/>.</summary>
/// <param name="root">The folder that holds <c>docker/</c>; created by the first write.</param>
/// <param name="unreadable">Collects the folders that this process may not read.</param>
public sealed class FileContentStore(StoreRoot root, UnreadableFolders? unreadable = null) : IContentStore
{
    public ValueTask<Content?> OpenAsync(Digest digest, CancellationToken cancellationToken)
    {
        var path = PathOf(digest);
        try
        {
            var content = TryOpen(path) ?? (SweepableFile.PutBack(path) ? TryOpen(path) : null);
            return ValueTask.FromResult<Content?>(root.Found(content, content is null));
        }
        catch (UnauthorizedAccessException refused)
        {
            // A collection need not stop because a client asks for a layer that this process may not read, and it reads manifests itself.
            throw Entries.Refused(path, Entries.IsVisible(path) ? null : unreadable, refused);
        }
    }

    public ValueTask<long?> SizeAsync(Digest digest, CancellationToken cancellationToken)
    {
        var file = Entries.OrRefuse(
            PathOf(digest), unreadable, static path => Entries.File(path) ?? (SweepableFile.PutBack(path) ? Entries.File(path) : null));
        return ValueTask.FromResult(root.Found(file?.Length, file is null));
    }

    public async ValueTask<long?> ReadableSizeAsync(Digest digest, CancellationToken cancellationToken)
    {
        var size = await SizeAsync(digest, cancellationToken);
        return size is null || !Folders.IsUnreadable(PathOf(digest))
            ? size
            : throw Entries.Refused(PathOf(digest), unreadable: null, new UnauthorizedAccessException());
    }

    public ValueTask<bool> TouchAsync(Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult(root.Write(() => SweepableFile.Touch(PathOf(digest))));

    public ValueTask<Spool> SpoolAsync(Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Spool.OpenOrPrivate(FillOf(digest), digest.Algorithm));

    public ValueTask<Spool> SpoolPrivatelyAsync(Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Spool.OpenPrivate(FillOf(digest), digest.Algorithm));

    private string FillOf(Digest digest)
    {
        var path = root.PathOf(RegistryLayout.Fill(digest));
        root.Write(() => Durable.CreateFolder(Path.GetDirectoryName(path)!));
        return path;
    }

    public async ValueTask CommitAsync(Spool spool, Digest digest, CancellationToken cancellationToken)
    {
        var path = PathOf(digest);
        // To compare the bytes with those of a stored file may take long: on a thread of its own it holds up no other request.
        if (File.Exists(path))
            await Task.Factory.StartNew(Publish, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        else
            Publish();

        void Publish() => root.Write(() => spool.MoveTo(path));
    }

    public ValueTask PutAsync(Digest digest, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (Digest.Of(bytes.Span, digest.Algorithm) != digest)
            throw new ArgumentException($"The bytes are not {digest}.", nameof(bytes));
        var path = PathOf(digest);
        root.Write(() =>
        {
            // To publish a file again that has these bytes would only cost two flushes. The bytes are compared, and not only their
            // number: a file that was damaged since it was stored is replaced.
            if (!(FileBytes.Are(path, bytes) && SweepableFile.Touch(path)))
                Durable.WriteFile(root.PathOf(RegistryLayout.Temporary), path, bytes.Span, SweepableFile.Publish);
        });
        return ValueTask.CompletedTask;
    }

    public ValueTask<bool> DeleteAsync(Digest digest, CancellationToken cancellationToken)
    {
        var path = PathOf(digest);
        var isDeleted = root.Write(
            () => SweepableFile.Exists(path) && Durable.DeleteFile(root.PathOf(RegistryLayout.Temporary), path));
        if (isDeleted)
            SweepableFile.RemoveIfEmpty(Path.GetDirectoryName(path)!);
        return ValueTask.FromResult(isDeleted);
    }

    public async IAsyncEnumerable<Digest> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        foreach (var algorithm in Digest.Algorithms)
            foreach (var prefix in Entries.Folders(root.PathOf(RegistryLayout.Blobs(algorithm)), unreadable))
                foreach (var blob in RegistryLayout.IsContentPrefix(prefix) ? Entries.Folders(prefix, unreadable) : [])
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    var data = Path.Combine(blob, "data");
                    if (Digest.TryParse($"{algorithm}:{Path.GetFileName(blob)}", out var digest)
                        && Entries.OrSkip(data, unreadable, () => SweepableFile.Exists(data)))
                        yield return digest;
                }
        root.Require();
    }

    private static FileContent? TryOpen(string path)
    {
        // For a missing file this look is cheaper than the exception of OpenHandle.
        if (!Entries.HasFile(path))
            return null;
        try
        {
            var file = File.OpenHandle(path, options: FileOptions.None, share: FileShare.ReadWrite | FileShare.Delete);
            return new FileContent(file, RandomAccess.GetLength(file));
        }
        catch (Exception missing) when (missing is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    private string PathOf(Digest digest) => root.PathOf(RegistryLayout.BlobData(digest));
}
