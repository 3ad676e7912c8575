using Mirror.Configuration;

namespace Mirror.Hosting;

/// <summary>Finds a folder that was mounted for docker-registry 0.x, and that no setting names: its images would seem lost.</summary>
internal static class UnusedMount
{
    private const string Folder = "/tmp/registry";

    /// <summary>What to tell the operator; null where there is no such mount, or it is used.</summary>
    /// <param name="mounts">The lines of <c>/proc/self/mountinfo</c> (proc(5)).</param>
    public static string? Warning(StorageOptions storage, IEnumerable<string> mounts)
    {
        var folder = storage.Bucket() is { } bucket ? bucket.NamesFolder : storage.Filesystem.RootDirectory;
        var used = folder is null ? storage.Location : Path.GetFullPath(folder);
        var isUsed = used == Folder || used.StartsWith($"{Folder}/", StringComparison.Ordinal);
        return !isUsed && mounts.Any(line => line.Split(' ') is [_, _, _, _, Folder, ..])
            ? $"{Folder} is mounted, and no setting names it: content is kept in {used}. To keep it in {Folder}, set "
                + "storage.filesystem.rootdirectory"
            : null;
    }

    /// <summary>The mounts that this process sees; none on other systems than Linux.</summary>
    public static IEnumerable<string> Mounts() => File.Exists("/proc/self/mountinfo") ? File.ReadLines("/proc/self/mountinfo") : [];
}
