using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Mirror.Fuzz;

/// <summary>
/// How many branches of each parser its known inputs take, as coverlet counted them. Of a parser whose code has no branches, such as one
/// that leaves all to a regular expression of the framework, the lines are counted.
/// </summary>
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
            HashSet<string> found = [];
            List<(string Place, bool IsTaken)> branches = [], lines = [];
            foreach (var (file, type, member, method) in Methods(report.RootElement))
            {
                if (Array.Find(wanted, each => each == type || each == $"{type}.{member}") is not { } source)
                    continue;
                found.Add(source);
                branches.AddRange(method.GetProperty("Branches").EnumerateArray()
                    .Select(branch => ($"{file}:{branch.GetProperty("Line")}", branch.GetProperty("Hits").GetInt32() > 0)));
                lines.AddRange(method.GetProperty("Lines").EnumerateObject()
                    .Select(line => ($"{file}:{line.Name}", line.Value.GetInt32() > 0)));
            }
            var (counted, unit) = branches.Count > 0 ? (branches, "branches") : (lines, "lines (it has no branches)");
            var taken = counted.Count(each => each.IsTaken);
            // Where there is nothing to count, nothing was measured.
            var share = counted.Count == 0 ? 0 : 100 * taken / counted.Count;
            isEnough &= share >= Least && found.Count == wanted.Length;
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{parser,-20} {taken,4} of {counted.Count,4} {unit}, {share,3} %"));
            var missed = counted.Where(each => !each.IsTaken).Select(each => each.Place).Distinct().Order(StringComparer.Ordinal);
            if (share < Least)
                Console.WriteLine($"    not taken: {string.Join(' ', missed)}");
            if (found.Count < wanted.Length)
                Console.WriteLine($"    there is no {string.Join(' ', wanted.Except(found))}");
        }
        return isEnough;
    }

    // Of a method that is async, an iterator or local, and of a lambda, the compiler makes types and methods with "<method>" in their name.
    private static IEnumerable<(string File, string Type, string Member, JsonElement Method)> Methods(JsonElement report) =>
        from module in report.EnumerateObject()
        from file in module.Value.EnumerateObject()
        from type in file.Value.EnumerateObject()
        from method in type.Value.EnumerateObject()
        let names = type.Name.Split('/', 2)
        let own = method.Name[(method.Name.LastIndexOf("::", StringComparison.Ordinal) + 2)..].Split('(')[0]
        let made = Made().Match($"{names.ElementAtOrDefault(1)} {own}")
        select (Path.GetFileName(file.Name), names[0].Split('.')[^1].Split('`')[0], made.Success ? made.Groups[1].Value : own,
            method.Value);

    [GeneratedRegex(@"<([\w.]+)>", RegexOptions.CultureInvariant)]
    private static partial Regex Made();
}
