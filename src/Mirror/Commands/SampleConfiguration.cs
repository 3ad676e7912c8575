using System.Text.RegularExpressions;
using Mirror.Configuration.Reading;

namespace Mirror.Commands;

/// <summary>
/// Writes every key with its default, its meaning and its variable, as a file in which every setting is a comment. The meanings are those
/// of docs/configuration.md, which is a part of the program.
/// </summary>
public static partial class SampleConfiguration
{
    private const string Page = "configuration.md";

    public static void Write(TextWriter output)
    {
        output.WriteLine("# Every setting, with its default. Take away the # in front of a setting and of the sections around it.");
        output.WriteLine("# A variable in parentheses sets the same, and comes before the file.");
        output.WriteLine("version: 0.1");
        Write(KnownKeys.Root, "", "REGISTRY", 0, Documented(), output);
    }

    private static void Write(
        KnownKey section, string path, string variable, int depth, Dictionary<string, (string Default, string Meaning)> documented,
        TextWriter output)
    {
        foreach (var key in section.Children)
        {
            var child = path is "" ? key.Name : $"{path}.{key.Name}";
            var childVariable = $"{variable}_{key.Name.ToUpperInvariant()}";
            if (key is not { IsNotActedOn: false, HasNoEffect: false, AliasTarget: null } || IsWithoutKeys(key))
                continue;
            if (depth == 0)
                output.WriteLine();
            var isList = key is { Shape: KeyShape.List, Entry.Shape: KeyShape.Section };
            var (text, meaning) = Find(documented, isList ? $"{child}[]" : child);
            // The default can be the name of another key.
            if (key.Shape is KeyShape.Value && text.Length > 0 && key.Rule.Canonical(text) is null)
                (text, meaning) = ("", $"{meaning} Default: {text}.");
            if (meaning.Length > 0)
                Line(depth, $"# {meaning}{(key.Shape is KeyShape.Value ? $" ({childVariable})" : "")}");
            if (isList || key.Shape is KeyShape.Section)
            {
                Line(depth, $"{key.Name}:");
                if (isList)
                    Line(depth + 1, "-");
                Write(
                    isList ? key.Entry! : key, isList ? $"{child}[]" : child, isList ? $"{childVariable}_0" : childVariable,
                    depth + (isList ? 2 : 1), documented, output);
            }
            else
                Line(depth, $"{key.Name}: {text}".TrimEnd());
        }

        void Line(int indent, string text) => output.WriteLine($"#{new string(' ', 2 * indent)}{text}");
    }

    private static bool IsWithoutKeys(KnownKey key) =>
        key.Shape is KeyShape.Section && key.Children.All(child => child.IsNotActedOn || child.HasNoEffect
            || child.AliasTarget is not null || IsWithoutKeys(child));

    // An upstream of proxy.upstreams has the keys of section proxy.
    private static (string Default, string Meaning) Find(Dictionary<string, (string, string)> documented, string path) =>
        documented.TryGetValue(path, out var found)
            || documented.TryGetValue(path.Replace("proxy.upstreams[].", "proxy.", StringComparison.Ordinal), out found)
            ? found
            : ("", "");

    /// <summary>The keys of the tables of the page. A default that is written in words belongs to the meaning.</summary>
    private static Dictionary<string, (string Default, string Meaning)> Documented()
    {
        using var page = new StreamReader(typeof(SampleConfiguration).Assembly.GetManifestResourceStream(Page)!);
        Dictionary<string, (string, string)> documented = [];
        var lines = page.ReadToEnd().Split('\n').SkipWhile(line => line is not "## Keys").TakeWhile(line => line is not "## Environment");
        foreach (var line in lines)
        {
            if (line.Split(" | ") is not [var keys, var value, var meaning] || !keys.StartsWith("| `", StringComparison.Ordinal))
                continue;
            var isLiteral = value[0] == '`' && value.LastIndexOf('`') == value.Length - 1 && value.Count(c => c == '`') == 2;
            var described = isLiteral ? (value.Trim('`'), Plain(meaning.TrimEnd(' ', '|')))
                : ("", $"{Plain(meaning.TrimEnd(' ', '|'))} Default: {Plain(value)}.");
            var first = "";
            foreach (Match key in Quoted().Matches(keys))
            {
                var name = key.Groups[1].Value;
                first = name[0] == '.' ? first : name[..(name.LastIndexOf('.') + 1)];
                documented[name[0] == '.' ? first + name[1..] : name] = described;
            }
        }
        return documented;

        static string Plain(string markdown) => Link().Replace(markdown, "$1").Replace("`", "", StringComparison.Ordinal);
    }

    [GeneratedRegex(@"\[([^]]*)\]\([^)]*\)")]
    private static partial Regex Link();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();
}
