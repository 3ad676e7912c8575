namespace Mirror.Tests.Peers;

/// <summary>Prometheus' own check of a scrape.</summary>
internal static class Promtool
{
    public static Availability Availability => Availability.Of("promtool");

    /// <summary>The complaints of <c>promtool check metrics</c>, each a line that begins with the metric's name.</summary>
    public static async Task<IReadOnlyList<string>> CheckAsync(string scrape)
    {
        using var folder = new TempFolder();
        await using var promtool = PeerProcess.Start("sh", ["-c", $"promtool check metrics < {folder.Write("scrape", scrape)}"]);
        await promtool.ExitCodeAsync();
        return promtool.Lines;
    }
}
