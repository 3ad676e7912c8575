namespace Mirror.Limits;

/// <summary>
/// Divides the files that the process may open (<c>ulimit -n</c>) between clients and downloads, so that a crowd of new ones cannot stop
/// those already being served. Each limit is null where the system sets none.
/// </summary>
internal static class OpenFiles
{
    // Kept for the process itself: libraries, logs, folders being flushed, open uploads.
    private const long Own = 256;

    /// <summary>
    /// The largest number of client connections: three quarters of the rest, two files each, a connection and what it reads.
    /// </summary>
    public static long? MaxConnections { get; } = Limit() is { } files ? Math.Max(16, (files - Own) * 3 / 8) : null;

    /// <summary>The largest number of downloads: the last quarter, two files each, a spool and a connection to upstream.</summary>
    public static long? MaxDownloads { get; } = Limit() is { } files ? Math.Max(16, (files - Own) / 8) : null;

    private static long? Limit()
    {
        const string limits = "/proc/self/limits", name = "Max open files";
        if (!File.Exists(limits))
            return null;
        var line = File.ReadLines(limits).FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal));
        return long.TryParse(line?[name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0], out var files) ? files : null;
    }
}
