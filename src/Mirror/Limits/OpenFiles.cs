namespace Mirror.Limits;

/// <summary>
/// How the files that the process may open (<c>ulimit -n</c>) are shared out, so that what is served goes on being served however much more is asked
/// for. Where there is no such limit, neither are there these.
/// </summary>
internal static class OpenFiles
{
    // The process' own: libraries, logs, folders being flushed, pushes that stand open.
    private const long Own = 256;

    /// <summary>How many clients at once: three quarters of the rest, since each may have a file open beside its connection.</summary>
    public static long? MaxConnections { get; } = Limit() is { } files ? Math.Max(16, (files - Own) * 3 / 8) : null;

    /// <summary>How many downloads at once: what remains, since each has its file and a connection upstream.</summary>
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
