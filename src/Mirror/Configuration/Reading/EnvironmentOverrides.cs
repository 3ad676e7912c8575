using System.Globalization;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Reading;

/// <summary>
/// Applies the registry's rule that the variable <c>REGISTRY_A_B_C=v</c> means <c>a.b.c: v</c>. The value is YAML, so it can be a whole
/// section. Variables are applied in the order of their names, so a section comes before its keys, and the entries of a list in the order
/// of their numbers. The name is compared with the known keys, so a key with <c>_</c> in its name is found too.
/// </summary>
internal static partial class EnvironmentOverrides
{
    public const string Prefix = "REGISTRY_";

    /// <param name="isOverride">Whether a variable is one of these; docker-registry 0.x has some that look like them.</param>
    /// <returns>The keys that were set, as <c>http.addr</c>, each with the variable that set it.</returns>
    public static Dictionary<string, string> Apply(
        YamlMappingNode root, IReadOnlyDictionary<string, string> environment, Findings findings, Predicate<string> isOverride)
    {
        Dictionary<string, string> given = new(StringComparer.OrdinalIgnoreCase);
        List<(string Variable, string Text)> unknown = [];
        foreach (var (variable, text) in environment.OrderBy(entry => InOrder(entry.Key), StringComparer.Ordinal))
        {
            if (!variable.StartsWith(Prefix, StringComparison.Ordinal) || variable == ConfigurationFile.PathVariable
                || !isOverride(variable))
                continue;

            List<(KnownKey Key, string Name)> path = [];
            if (!Resolve(KnownKeys.Root, variable[Prefix.Length..], path))
                unknown.Add((variable, text));
            else if (ValueFor(path[^1].Key, text) is not { } value)
                findings.Errors.Add($"{variable}: the value is not YAML");
            else if (!Set(root, path, value))
                findings.Errors.Add($"{variable}: the list has no such entry, and it is not the next one");
            else
                given[string.Join('.', path.Select(step => step.Name))] = variable;
        }
        // What is safe to ignore depends on the keys that are set.
        foreach (var (variable, text) in unknown)
            new UnknownVariable(root, variable, variable[Prefix.Length..], text).Report(findings);
        return given;
    }

    /// <summary>Finds the keys that <paramref name="rest"/> names below <paramref name="key"/>, the outermost first.</summary>
    public static bool Resolve(KnownKey key, string rest, List<(KnownKey Key, string Name)> path)
    {
        if (rest is "")
            return path.Count > 0;

        if (key.Shape is KeyShape.Section)
        {
            foreach (var child in key.Children)
            {
                if ((After(rest, child.Name) ?? After(rest, child.VariableName)) is not { } remainder)
                    continue;
                path.Add((child, child.Name));
                if (Resolve(child, remainder, path))
                    return true;
                path.RemoveAt(path.Count - 1);
            }
            return After(rest, key.VariableDetour) is { Length: > 0 } behind && Resolve(key, behind, path);
        }

        // The user chooses the names under a map, so an underscore there is a part of the name.
        var name = key.Shape is KeyShape.List ? rest.Split('_')[0] : rest;
        var entry = key.Shape is KeyShape.Anything ? key : key.Entry;
        var isIndex = int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out _);
        if (entry is null || key.Shape is KeyShape.List && !isIndex || After(rest, name) is not { } below)
            return false;
        path.Add((entry, name.ToLowerInvariant()));
        if (Resolve(entry, below, path))
            return true;
        path.RemoveAt(path.Count - 1);
        return false;
    }

    /// <summary>The part of <paramref name="rest"/> after a name and its underscore, or null if it does not start with that name.</summary>
    public static string? After(string rest, string? name) =>
        name is null || !rest.StartsWith(name, StringComparison.OrdinalIgnoreCase) ? null
        : rest.Length == name.Length ? ""
        : rest[name.Length] == '_' && rest.Length > name.Length + 1 ? rest[(name.Length + 1)..]
        : null;

    // The entry _10 comes after the entry _2.
    private static string InOrder(string variable) => Number().Replace(variable, match => match.Value.PadLeft(10, '0'));

    [GeneratedRegex("(?<=_)[0-9]+(?=_|$)", RegexOptions.CultureInvariant)]
    private static partial Regex Number();

    private static YamlNode? ValueFor(KnownKey key, string text)
    {
        YamlNode? parsed;
        try
        {
            parsed = YamlText.Parse(text);
        }
        catch (YamlException)
        {
            parsed = null;
        }

        // A password such as "#1" or "a: b", or a pattern such as "**", is text here, although it has a meaning in YAML.
        return key.Shape switch
        {
            KeyShape.Value when parsed is not YamlScalarNode || parsed.IsEmpty && text is not ("null" or "~") => new YamlScalarNode(text),
            KeyShape.List when parsed is null => new YamlScalarNode(text),
            _ => parsed,
        };
    }

    private static bool Set(YamlMappingNode root, List<(KnownKey Key, string Name)> path, YamlNode value)
    {
        YamlNode node = root;
        var parent = KnownKeys.Root;
        for (var i = 0; i < path.Count; i++)
        {
            var (key, name) = path[i];
            var isLast = i == path.Count - 1;
            if (parent.Shape is KeyShape.List)
            {
                var list = (YamlSequenceNode)node;
                var index = int.Parse(name, CultureInfo.InvariantCulture);
                if (index > list.Children.Count)
                    return false;
                if (index == list.Children.Count)
                    list.Children.Add(Container(key, null));
                list.Children[index] = isLast ? value : Container(key, list.Children[index]);
                node = list.Children[index];
            }
            else
            {
                var map = (YamlMappingNode)node;
                var existing = map.Children.Keys.OfType<YamlScalarNode>()
                    .FirstOrDefault(other => name.Equals(other.Value, StringComparison.OrdinalIgnoreCase)) ?? new YamlScalarNode(name);
                var old = map.Children.TryGetValue(existing, out var found) ? found : null;
                node = map.Children[existing] = isLast ? value : Container(key, old);
            }
            parent = key;
        }
        return true;
    }

    /// <summary>The node itself if keys can be set in it, else a new node that replaces it.</summary>
    private static YamlNode Container(KnownKey key, YamlNode? node) => key.Shape switch
    {
        KeyShape.List when node is YamlSequenceNode => node,
        KeyShape.List when node is null || node.IsEmpty => new YamlSequenceNode(),
        KeyShape.List => new YamlSequenceNode(node!),
        _ when node is YamlMappingNode => node,
        _ when key.IsChoice && node is YamlScalarNode { IsEmpty: false } choice => new YamlMappingNode(choice, new YamlScalarNode()),
        _ => new YamlMappingNode(),
    };
}
