namespace Mirror.Storage.Disk;

/// <summary>Temporary files of processes that died, which no other process continued.</summary>
internal static class OrphanedFiles
{
    /// <summary>How long an interrupted fill is kept for another process to continue it.</summary>
    public static readonly TimeSpan FillAge = TimeSpan.FromDays(7);

    private static readonly EnumerationOptions Readable =
        new() { RecurseSubdirectories = true, IgnoreInaccessible = true, AttributesToSkip = FileAttributes.None };

    /// <summary>Deletes files below a folder that were last written before a given time and that no process has open.</summary>
    /// <param name="dryRun">Only counts.</param>
    public static (int Files, long Bytes) Sweep(string folder, DateTimeOffset before, bool dryRun, CancellationToken cancellationToken)
    {
        var (files, bytes) = (0, 0L);
        foreach (var file in In(folder))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (!file.Exists || file.LastWriteTimeUtc >= before.UtcDateTime || !(dryRun || DeleteUnused(file.FullName)))
                continue;
            files++;
            bytes += file.Length;
        }
        return (files, bytes);
    }

    /// <summary>The files below a folder, which need not exist. They may be gone already.</summary>
    public static IEnumerable<FileInfo> In(string folder) =>
        Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*", Readable).Select(path => new FileInfo(path)) : [];

    /// <summary>Deletes a file that no process has open; false where one has. A process that continues the file has it locked.</summary>
    public static bool DeleteUnused(string path)
    {
        try
        {
            using var held = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            File.Delete(path);
            return true;
        }
        catch (Exception used) when (used.IsStoreFailure)
        {
            return false;
        }
    }
}
