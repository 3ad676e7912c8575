using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Mirror.Fuzz;

/// <summary>How many branches of each parser its known inputs take, as coverlet counted them.</summary>
internal static partial class Coverage
{
    private const int Least = 90;

    /// <summary>Prints a line for each parser; false if one has less than 90 %, or names code that does not exist.</summary>
    /// <param name="folder">Has a report of coverlet, in JSON, with the name of each parser.</param>
    public static bool Print(string folder, IEnumerable<string> parsers)
    {
        var isEnough = true;
        foreach (var parser in parsers)
        {
            using var report = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, $"{parser}.json")));
            string[] wanted = ParserSources.All[parser].Split(' ');
            var (taken, all, missed, found) = (0, 0, new SortedSet<string>(StringComparer.Ordinal), new HashSet<string>());
            foreach (var (file, type, member, branches) in Methods(report.RootElement))
            {
                if (Array.Find(wanted, each => each == type || each == $"{type}.{member}") is not { } source)
                    continue;
                found.Add(source);
                foreach (var branch in branches.EnumerateArray())
                {
                    all++;
                    if (branch.GetProperty("Hits").GetInt32() > 0)
                        taken++;
                    else
                        missed.Add(string.Create(CultureInfo.InvariantCulture, $"{file}:{branch.GetProperty("Line").GetInt32()}"));
                }
            }
            var share = all == 0 ? 100 : 100 * taken / all;
            isEnough &= share >= Least && found.Count == wanted.Length;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{parser,-20} {taken,4} of {all,4} branches, {share,3} %"));
            if (share < Least)
                Console.WriteLine($"    not taken: {string.Join(' ', missed)}");
            if (found.Count < wanted.Length)
                Console.WriteLine($"    there is no {string.Join(' ', wanted.Except(found))}");
        }
        return isEnough;
    }

    // Of a method that is async, an iterator or local, and of a lambda, the compiler makes types and methods with "<method>" in their name.
    private static IEnumerable<(string File, string Type, string Member, JsonElement Branches)> Methods(JsonElement report) =>
        from module in report.EnumerateObject()
        from file in module.Value.EnumerateObject()
        from type in file.Value.EnumerateObject()
        from method in type.Value.EnumerateObject()
        let names = type.Name.Split('/', 2)
        let own = method.Name[(method.Name.LastIndexOf("::", StringComparison.Ordinal) + 2)..].Split('(')[0]
        let made = Made().Match($"{names.ElementAtOrDefault(1)} {own}")
        select (Path.GetFileName(file.Name), names[0].Split('.')[^1].Split('`')[0], made.Success ? made.Groups[1].Value : own,
            method.Value.GetProperty("Branches"));

    [GeneratedRegex(@"<([\w.]+)>", RegexOptions.CultureInvariant)]
    private static partial Regex Made();
}
