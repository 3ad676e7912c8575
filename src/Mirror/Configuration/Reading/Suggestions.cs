namespace Mirror.Configuration.Reading;

/// <summary>Finds what a mistyped name resembles.</summary>
internal static class Suggestions
{
    /// <summary>The candidate that differs from <paramref name="name"/> by a third of its letters at most; null where none does.</summary>
    public static string? Nearest(IEnumerable<string> candidates, string name)
    {
        var nearest = candidates.MinBy(candidate => Distance(candidate, name));
        return nearest is not null && Distance(nearest, name) <= Math.Max(1, name.Length / 3) ? nearest : null;
    }

    /// <summary>The key of that name in any section, with its path; null where no section has it.</summary>
    public static (string Path, KnownKey Key)? Elsewhere(string name) => Elsewhere(KnownKeys.Root, "", name);

    /// <summary>The paths of all keys with values, joined by a separator. A list of sections is left out.</summary>
    public static IEnumerable<string> Paths(KnownKey section, string path, char separator) => section.Children.SelectMany(child =>
        child.Shape is KeyShape.Section ? Paths(child, $"{path}{child.Name}{separator}", separator) : [path + child.Name]);

    private static (string Path, KnownKey Key)? Elsewhere(KnownKey section, string path, string name)
    {
        foreach (var child in section.Children)
        {
            var childPath = path is "" ? child.Name : $"{path}.{child.Name}";
            if (child.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                return (childPath, child);
            if (Elsewhere(child, childPath, name) is { } found)
                return found;
        }
        return null;
    }

    /// <summary>The number of letters to insert, delete or replace (Levenshtein distance), without regard to case.</summary>
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var replaced = diagonal + (char.ToUpperInvariant(a[i - 1]) == char.ToUpperInvariant(b[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }
        return row[^1];
    }
}
