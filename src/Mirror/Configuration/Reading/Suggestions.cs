namespace Mirror.Configuration.Reading;

/// <summary>Finds the known key that a mistyped one resembles most.</summary>
internal static class Suggestions
{
    /// <summary>
    /// The path of the key nearest to <paramref name="name"/>: a key of this section with a similar name, else a key of another section
    /// with the same name, else the most similar key of this section.
    /// </summary>
    /// <param name="sectionPath">The path of the section; empty for the whole file.</param>
    public static string Key(KnownKey section, string sectionPath, string name)
    {
        var sibling = section.Children.MinBy(child => Distance(child.Name, name))!;
        var isTypo = Distance(sibling.Name, name) <= Math.Max(1, name.Length / 3);
        return (isTypo ? null : Elsewhere(KnownKeys.Root, "", name)) ?? Join(sectionPath, sibling.Name);
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

    private static string? Elsewhere(KnownKey section, string path, string name)
    {
        foreach (var child in section.Children)
        {
            if (child.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                return Join(path, child.Name);
            if (Elsewhere(child, Join(path, child.Name), name) is { } found)
                return found;
        }
        return null;
    }

    private static string Join(string path, string name) => path is "" ? name : $"{path}.{name}";
}
