namespace Mirror.Configuration.Reading;

/// <summary>Finds what a mistyped name resembles.</summary>
internal static class Suggestions
{
    private static readonly string[] UsualSections = ["http", "proxy", "storage"];

    /// <summary>The candidate that differs from <paramref name="name"/> by a third of its letters at most; null where none does.</summary>
    public static string? Nearest(IEnumerable<string> candidates, string name)
    {
        var nearest = candidates.MinBy(candidate => Distance(candidate, name));
        return nearest is not null && Distance(nearest, name) <= Math.Max(1, name.Length / 3) ? nearest : null;
    }

    /// <summary>The key of that name in any section, with its path; null where no section has it.</summary>
    public static (string Path, KnownKey Key)? Elsewhere(string name) => Below(KnownKeys.Root, "", name);

    /// <summary>The key that was probably meant by a name at the top of a file, where its section is not indented: one of the sections that
    /// most files have. If none of them has it, the only key of that name; null where there is none, or several.</summary>
    public static (string Path, KnownKey Key)? AtTop(string name)
    {
        foreach (var section in UsualSections)
            if (KnownKeys.Root.Find(section)!.Children.FirstOrDefault(
                child => child.Name.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } found)
                return ($"{section}.{found.Name}", found);
        return Elsewhere(name) is { } only && (only.Key.IsVitalHere || IsUnique(name)) ? only : null;
    }

    /// <summary>Whether one section only has a key of that name.</summary>
    public static bool IsUnique(string name)
    {
        return Count(KnownKeys.Root) == 1;

        int Count(KnownKey section) => section.Children.Sum(
            child => (child.Name.Equals(name, StringComparison.OrdinalIgnoreCase) ? 1 : 0) + Count(child));
    }

    /// <summary>The key of a section whose name, or else a name that people write for it by mistake, differs little from
    /// <paramref name="name"/>; null where there is none.</summary>
    public static KnownKey? Similar(KnownKey section, string name) =>
        Nearest(section.Children.Select(child => child.Name), name) is { } near ? section.Find(near)
        : Nearest(section.Children.SelectMany(child => child.Misnomers), name) is { } misnomer
            ? section.Children.First(child => child.Misnomers.Contains(misnomer))
        : null;

    /// <summary>The key of a section whose name begins as <paramref name="name"/> does, for three quarters of the shorter one; null where
    /// there is none.</summary>
    public static KnownKey? WithSameBeginning(KnownKey section, string name)
    {
        var best = section.Children.MaxBy(child => Common(child.Name, name));
        return best is not null && Common(best.Name, name) is >= 3 and var common
            && common * 4 >= Math.Min(best.Name.Length, name.Length) * 3
            ? best
            : null;

        static int Common(string a, string b) =>
            a.Zip(b).TakeWhile(pair => char.ToUpperInvariant(pair.First) == char.ToUpperInvariant(pair.Second)).Count();
    }

    /// <summary>The paths of all keys with values, joined by a separator. A list of sections is left out.</summary>
    public static IEnumerable<string> Paths(KnownKey section, string path, char separator) => section.Children.SelectMany(child =>
        child.Shape is KeyShape.Section ? Paths(child, $"{path}{child.Name}{separator}", separator) : [path + child.Name]);

    /// <summary>The key of that name below a section, also below its sections; null where there is none.</summary>
    /// <param name="path">The path of the section.</param>
    /// <param name="withMisnomers">Whether a name that people write for a key by mistake counts, too.</param>
    public static (string Path, KnownKey Key)? Below(KnownKey section, string path, string name, bool withMisnomers = false)
    {
        foreach (var child in section.Children)
        {
            var childPath = path is "" ? child.Name : $"{path}.{child.Name}";
            if (child.Name.Equals(name, StringComparison.OrdinalIgnoreCase) || withMisnomers && child.Misnomers.Contains(name))
                return (childPath, child);
            if (Below(child, childPath, name, withMisnomers) is { } found)
                return found;
        }
        return null;
    }

    /// <summary>The number of letters to insert, delete, replace or swap with the next one, without regard to case.</summary>
    private static int Distance(string a, string b)
    {
        int[] before = [], row = [.. Enumerable.Range(0, b.Length + 1)];
        for (var i = 1; i <= a.Length; i++)
        {
            int[] next = [i, .. row[1..]];
            for (var j = 1; j <= b.Length; j++)
            {
                next[j] = Math.Min(row[j - 1] + (Same(i, j) ? 0 : 1), Math.Min(row[j], next[j - 1]) + 1);
                if (i > 1 && j > 1 && Same(i, j - 1) && Same(i - 1, j))
                    next[j] = Math.Min(next[j], before[j - 2] + 1);
            }
            (before, row) = (row, next);
        }
        return row[^1];

        bool Same(int i, int j) => char.ToUpperInvariant(a[i - 1]) == char.ToUpperInvariant(b[j - 1]);
    }
}
