using Mirror.Configuration.Old;

namespace Mirror.Commands;

/// <summary>The table of what becomes of each key of docker-registry 0.x. It is a comment of YAML.</summary>
internal static class OldKeyTable
{
    private const int MaxValue = 40;

    public static void Write(OldConfiguration old, TextWriter output)
    {
        (string Name, string Value, string Outcome)[] rows =
            [("key", "value", "today"), .. old.Keys.Select(key => (key.Name, Short(key.Value), key.Outcome))];
        var (names, values) = (rows.Max(row => row.Name.Length), rows.Max(row => row.Value.Length));
        output.WriteLine($"# flavor {old.Flavor} of docker-registry 0.x");
        foreach (var (name, value, outcome) in rows)
            output.WriteLine($"# {name.PadRight(names)}  {value.PadRight(values)}  {outcome}");
    }

    private static string Short(string value) =>
        value.ReplaceLineEndings(" ") is var line && line.Length > MaxValue ? line[..(MaxValue - 3)] + "..." : line;
}
