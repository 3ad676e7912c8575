namespace Mirror.Storage.Disk;

/// <summary>Files on their way in whose process died, and which nobody took up again.</summary>
internal static class OrphanedFiles
{
    /// <summary>How long a download waits to be taken up again.</summary>
    public static readonly TimeSpan FillAge = TimeSpan.FromDays(7);

    /// <summary>Removes the files below a folder that were last written before a moment and that no process holds.</summary>
    /// <param name="dryRun">Only count.</param>
    public static (int Files, long Bytes) Sweep(string folder, DateTimeOffset before, bool dryRun, CancellationToken cancellationToken)
    {
        var (files, bytes) = (0, 0L);
        foreach (var path in Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories) : [])
        {
            cancellationToken.ThrowIfCancellationRequested();
            var file = new FileInfo(path);
            if (!file.Exists || file.LastWriteTimeUtc >= before.UtcDateTime || !(dryRun || DeleteUnused(path)))
                continue;
            files++;
            bytes += file.Length;
        }
        return (files, bytes);
    }

    // A download that was taken up again holds its file.
    private static bool DeleteUnused(string path)
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
