using Mirror.Tests.Parsing;

namespace Mirror.Fuzz;

/// <summary>
/// Chooses few small inputs that together take each edge that all inputs take, in one process: afl-cmin starts one for each input.
/// </summary>
internal static class SmallestSet
{
    private const int MaxFiles = 20;
    private const int MaxBytes = 20_000;
    // Longer ones would leave no room for others.
    private const int MaxInput = 4_000;

    /// <summary>Copies the chosen inputs, and returns a line with their number and that of the edges.</summary>
    /// <param name="parse">The parser. An input at which it throws is left out.</param>
    public static string Copy(Action<string> parse, string from, string to)
    {
        var files = new DirectoryInfo(from).EnumerateFiles().Where(file => file.Length <= MaxInput)
            .OrderBy(file => file.Length).ThenBy(file => file.Name, StringComparer.Ordinal).ToList();
        // The first round makes what is made once.
        foreach (var file in files.Take(50))
            EdgesOf(file);
        var edges = files.Select(file => (File: file, Edges: EdgesOf(file) ?? [])).ToList();
        HashSet<int> all = [.. edges.SelectMany(each => each.Edges)], left = [.. all];
        var (chosen, bytes) = (0, 0L);
        while (left.Count > 0 && chosen < MaxFiles)
        {
            // Of those with the most new edges the smallest.
            var best = edges.Where(each => bytes + each.File.Length <= MaxBytes).MaxBy(each => each.Edges.Count(left.Contains));
            if (best.File is null || !best.Edges.Overlaps(left))
                break;
            left.ExceptWith(best.Edges);
            bytes += best.File.Length;
            best.File.CopyTo(Path.Combine(to, $"{++chosen:D2}"), overwrite: true);
        }
        return $"{chosen} inputs, {bytes} bytes, {all.Count - left.Count} of {all.Count} edges";

        HashSet<int>? EdgesOf(FileInfo file) => EdgeMap.Of(() => parse(FuzzText.Of(File.ReadAllBytes(file.FullName))));
    }
}
