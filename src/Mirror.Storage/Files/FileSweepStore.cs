using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>The tree of <see cref="RegistryLayout"/> for a sweep: when a file was last touched is its modification time.</summary>
/// <param name="root">The folder that holds <c>docker/</c>.</param>
/// <param name="unreadable">Is told which folders this process may not read.</param>
/// <param name="forEvictions">See <see cref="ForEvictions"/>.</param>
public sealed class FileSweepStore(StoreRoot root, UnreadableFolders? unreadable = null, bool forEvictions = false) : ISweepStore
{
    private static readonly TimeSpan TemporaryAge = TimeSpan.FromDays(1);

    private int _losses;

    public ISweepStore ForEvictions => new FileSweepStore(root, unreadable, forEvictions: true);

    /// <summary>
    /// Creates, if possible, the files and the folder that every deletion needs, so that sweeps, evictions and clients can delete when the
    /// volume takes no more files.
    /// </summary>
    public static void Prepare(StoreRoot root)
    {
        try
        {
            Durable.CreateFolder(root.PathOf(RegistryLayout.Temporary));
            foreach (var path in new[] { RegistryLayout.SweepLock, RegistryLayout.EvictionLock })
                File.OpenHandle(root.PathOf(path), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite).Dispose();
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            // Read-only, or full. A deletion tries again, and says what it needs.
        }
    }

    public ValueTask<string?> UnreadableAsync(CancellationToken cancellationToken)
    {
        // What was not there for a moment names nothing either.
        root.Require();
        if (root.Losses != Volatile.Read(ref _losses))
            throw new StoreUnavailableException($"the storage folder {root.Path} was away for a while: nothing was deleted");
        // A manifest below a folder that cannot be read would seem to be missing, and to name nothing.
        foreach (var algorithm in Digest.Algorithms)
            foreach (var prefix in Entries.Folders(PathOf(RegistryLayout.Blobs(algorithm)), unreadable)
                         .Where(RegistryLayout.IsContentPrefix))
            {
                cancellationToken.ThrowIfCancellationRequested();
                _ = Entries.Folders(prefix, unreadable).Any();
            }
        return ValueTask.FromResult(unreadable?.Any);
    }

    public ValueTask<SweepRun?> BeginAsync(CancellationToken cancellationToken)
    {
        root.Require();
        var path = PathOf(forEvictions ? RegistryLayout.EvictionLock : RegistryLayout.SweepLock);
        try
        {
            Durable.CreateFolder(Path.GetDirectoryName(path)!);
            // The lock belongs to the open file, so it ends with the process, even if the process is killed.
            var held = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            root.Require();
            Volatile.Write(ref _losses, root.Losses);
            return ValueTask.FromResult<SweepRun?>(Run(Durable.Touch(path)!.Value, held));
        }
        catch (IOException taken) when (taken.IsHeldByAnother)
        {
            return ValueTask.FromResult<SweepRun?>(null);
        }
        catch (IOException full) when (full.IsNoSpace)
        {
            throw new IOException(
                $"the volume has no room for the lock file {path} ({full.Reason}): delete a file on it that is not needed, and try again",
                full)
            {
                HResult = full.HResult,
            };
        }
    }

    public async ValueTask<SweepRun?> BeginTrialAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await BeginAsync(cancellationToken);
        }
        catch (Exception failure)
            when (failure is IOException { IsReadOnly: true } or IOException { IsNoSpace: true } or UnauthorizedAccessException)
        {
            // No lock is possible, such as in a snapshot or on a full volume, and the time of the volume is not known.
            root.Require();
            Volatile.Write(ref _losses, root.Losses);
            return Run(DateTime.UtcNow, null);
        }
    }

    private SweepRun Run(DateTime began, SafeFileHandle? held)
    {
        unreadable?.Begin();
        return new SweepRun(began, () =>
        {
            unreadable?.End();
            held?.Dispose();
            return ValueTask.CompletedTask;
        });
    }

    // The system knows which files are open: a reader need not be counted, which would cost each request.
    public IReadOnlySet<Digest> BeingRead()
    {
        const string open = "/proc/self/fd";
        HashSet<Digest> read = [];
        foreach (var file in Directory.Exists(open) ? new DirectoryInfo(open).EnumerateFileSystemInfos() : [])
            if (file.LinkTarget?.Split('/') is [.., var algorithm, _, var hex, "data"]
                && Digest.TryParse($"{algorithm}:{hex}", out var digest))
                read.Add(digest);
        return read;
    }

    public IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> ListBlobsAsync(
        RepositoryName name, CancellationToken cancellationToken) =>
        ListLinksAsync(algorithm => RegistryLayout.BlobLinks(name, algorithm), cancellationToken);

    public IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> ListManifestsAsync(
        RepositoryName name, CancellationToken cancellationToken) =>
        ListLinksAsync(algorithm => RegistryLayout.ManifestLinks(name, algorithm), cancellationToken);

    public ValueTask<bool> HasTagLinkAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Entries.HasFile(PathOf(RegistryLayout.TagCurrent(name, tag))));

    public async IAsyncEnumerable<(Digest Digest, long Bytes, DateTimeOffset LastTouched)> ListContentAsync(
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var digest in new FileContentStore(root, unreadable).ListAsync(cancellationToken))
            if (PathOf(RegistryLayout.BlobData(digest)) is var path
                && Entries.OrSkip(path, unreadable, () => Entries.File(path)) is { } file)
                yield return (digest, file.Length, file.LastWriteTimeUtc);
    }

    public ValueTask<DateTimeOffset?> LastTouchedAsync(Digest digest, CancellationToken cancellationToken) =>
        ValueTask.FromResult((DateTimeOffset?)SweepableFile.LastTouched(PathOf(RegistryLayout.BlobData(digest))));

    public ValueTask<long?> SweepContentAsync(Digest digest, DateTimeOffset before, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Sweep(RegistryLayout.BlobData(digest), before));

    public ValueTask<bool> SweepBlobAsync(RepositoryName name, Digest digest, DateTimeOffset before, CancellationToken cancellationToken) =>
        ValueTask.FromResult(SweepLink(RegistryLayout.LayerLink(name, digest), name, digest, before));

    public ValueTask<bool> SweepManifestAsync(
        RepositoryName name, Digest digest, Digest? subject, DateTimeOffset before, CancellationToken cancellationToken)
    {
        if (!SweepLink(RegistryLayout.RevisionLink(name, digest), name, digest, before))
            return ValueTask.FromResult(false);
        // A push that links this manifest again writes these two files before the link: if they are young, they belong to that push.
        Sweep(RegistryLayout.RevisionMediaType(name, digest), before);
        if (subject is { } referred)
            Sweep(RegistryLayout.Referrer(name, referred, digest), before);
        return ValueTask.FromResult(true);
    }

    public ValueTask<(int Files, long Bytes)> SweepLeftoversAsync(DateTimeOffset now, bool dryRun, CancellationToken cancellationToken)
    {
        var temporary = OrphanedFiles.Sweep(PathOf(RegistryLayout.Temporary), now - TemporaryAge, dryRun, cancellationToken);
        var fills = OrphanedFiles.Sweep(PathOf(RegistryLayout.Fills), now - OrphanedFiles.FillAge, dryRun, cancellationToken);
        return ValueTask.FromResult((temporary.Files + fills.Files, temporary.Bytes + fills.Bytes));
    }

    // The mark of a copy goes before its link, the mark of a push after it: see IProvenanceStore.
    private bool SweepLink(string link, RepositoryName name, Digest digest, DateTimeOffset before)
    {
        if (!(SweepableFile.LastTouched(PathOf(link)) < before.UtcDateTime))
            return false;
        Sweep(RegistryLayout.Mark(name, digest, Provenance.Copied), before);
        if (Sweep(link, before) is null)
            return false;
        Sweep(RegistryLayout.Mark(name, digest, Provenance.Pushed), before);
        return true;
    }

    private async IAsyncEnumerable<(Digest Digest, DateTimeOffset LastTouched)> ListLinksAsync(
        Func<string, string> folderOf, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        foreach (var algorithm in Digest.Algorithms)
            foreach (var folder in Entries.Folders(PathOf(folderOf(algorithm)), unreadable))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (!Digest.TryParse($"{algorithm}:{Path.GetFileName(folder)}", out var digest))
                    continue;
                var link = Path.Combine(folder, "link");
                if (Entries.OrSkip(link, unreadable, () => SweepableFile.LastTouched(link)) is { } touched)
                    yield return (digest, touched);
            }
    }

    private long? Sweep(string relative, DateTimeOffset before) => SweepableFile.Sweep(
        PathOf(relative), before.UtcDateTime, forEvictions ? SweepableFile.Evicted : SweepableFile.Swept);

    private string PathOf(string relative) => root.PathOf(relative);
}
