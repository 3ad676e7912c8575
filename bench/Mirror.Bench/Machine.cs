
namespace Mirror.Bench;

/// <summary>The machine on which the figures were measured.</summary>
internal static class Machine
{
    public static string Describe()
    {
        var model = File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))
            ?.Split(':')[1].Trim();
        var memory = long.Parse(File.ReadLines("/proc/meminfo").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) >> 20;
        return $"{Environment.ProcessorCount} cores ({model ?? "unknown"}), {memory} GiB, "
            + $"Linux {Environment.OSVersion.Version.ToString(2)}, .NET {Environment.Version}";
    }

    /// <summary>
    /// Fills the page cache once and empties it. The first use of a page costs a virtual machine a page fault in its host, and the first
    /// server that writes would pay for it.
    /// </summary>
    public static void TouchMemory(long bytes)
    {
        var path = Path.GetTempFileName();
        try
        {
            new Blob(bytes, hashed: false).WriteTo(path);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
