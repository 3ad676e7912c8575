namespace Mirror.Limits;

/// <summary>
/// Divides the files that the process may open (<c>ulimit -n</c>) between connections, bodies, uploads and downloads, so that many new ones
/// cannot stop those already being served. The parts together are never more than the whole.
/// </summary>
internal static class OpenFiles
{
    /// <summary>What an operator can do where this limit is reached.</summary>
    public const string Advice = "raise the limit of open files (ulimit -n, LimitNOFILE)";

    // Kept for the process itself: libraries, logs, folders being flushed, links and manifests that are read in one go.
    private const long Own = 256;

    // Where the system sets no limit.
    private const long Unlimited = 1 << 16;

    private static readonly long Shared = Math.Max(128, (Limit() ?? Unlimited) - Own);

    /// <summary>The largest number of client connections: 11/32 of the shared files.</summary>
    public static int MaxConnections { get; } = (int)(Shared * 11 / 32);

    /// <summary>The largest number of bodies that are being sent or received, each with a file of the store: 11/32.</summary>
    public static int MaxTransfers { get; } = (int)(Shared * 11 / 32);

    /// <summary>The largest number of uploads that are open while no request writes to them: 1/16, at most 256.</summary>
    public static int MaxIdleUploads { get; } = (int)Math.Min(256, Shared / 16);

    /// <summary>How many files a download has: a spool, and a connection to upstream.</summary>
    public const int OfDownload = 2;

    /// <summary>The largest number of downloads: 1/8, because each has two files.</summary>
    public static int MaxDownloads { get; } = (int)(Shared / 8);

    /// <summary>
    /// How many downloads are kept for each upstream: half of all, divided evenly. The files of the others are in one pool with those of
    /// the connections (<see cref="ClientConnections.FreeFiles"/>): while no download needs them, more clients can be connected.
    /// </summary>
    /// <param name="upstreams">How many upstreams are configured.</param>
    public static int DownloadsOfEach(int upstreams) => MaxDownloads / 2 / Math.Max(1, upstreams);

    /// <summary>How many downloads are not kept for an upstream.</summary>
    /// <inheritdoc cref="DownloadsOfEach"/>
    public static int DownloadsOfAny(int upstreams) => MaxDownloads - DownloadsOfEach(upstreams) * upstreams;

    private static long? Limit()
    {
        const string limits = "/proc/self/limits", name = "Max open files";
        if (!File.Exists(limits))
            return null;
        var line = File.ReadLines(limits).FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal));
        return long.TryParse(line?[name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0], out var files)
            ? Math.Min(files, 1 << 20)
            : null;
    }
}
