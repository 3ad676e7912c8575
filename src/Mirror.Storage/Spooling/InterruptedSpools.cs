using Mirror.Storage.Disk;

namespace Mirror.Storage.Spooling;

/// <summary>A spool of a fill that was not finished, or that is being filled.</summary>
public readonly record struct InterruptedSpool(string Path, long Length, DateTimeOffset LastWritten);

/// <summary>The spools of fills that processes left, in local folders.</summary>
/// <param name="folders">The folders; they need not exist. Folders in them belong to them.</param>
public sealed class InterruptedSpools(params IReadOnlyList<string> folders)
{
    /// <summary>All spools, in no particular order.</summary>
    public IEnumerable<InterruptedSpool> List() =>
        from folder in folders
        from file in OrphanedFiles.In(folder)
        where file.Exists && !SpoolCheckpoint.IsOne(file.FullName)
        select new InterruptedSpool(file.FullName, file.Length, file.LastWriteTimeUtc);

    /// <summary>Deletes a spool; false where a process has it open, or it is not there.</summary>
    public static bool Delete(InterruptedSpool spool)
    {
        if (!OrphanedFiles.DeleteUnused(spool.Path))
            return false;
        SpoolCheckpoint.Delete(spool.Path);
        return true;
    }
}
