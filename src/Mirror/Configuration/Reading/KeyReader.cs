using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Reading;

/// <summary>
/// Compares a tree of YAML with the table of known keys. Allowed values go to <see cref="Values"/> as the binder reads them; everything
/// else becomes an error or a warning.
/// </summary>
internal sealed class KeyReader(Findings findings)
{
    private readonly Dictionary<string, string?> _aliases = [];

    /// <summary>The values that were read, by the paths that the binder uses (<c>proxy:remoteurl</c>).</summary>
    public Dictionary<string, string?> Values { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The paths in <see cref="Values"/> of what the file has in quotes, or says to be text. To Go they are no numbers.</summary>
    public HashSet<string> Texts { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Reads a whole configuration.</summary>
    public void Read(YamlNode root)
    {
        Read(KnownKeys.Root, root, path: "", isIgnored: false);
        foreach (var (path, value) in _aliases)
            Values.TryAdd(path, value);
    }

    private void Read(KnownKey key, YamlNode node, string path, bool isIgnored)
    {
        if (key.WhyNotActedOn is { } reason && !isIgnored && !node.IsEmpty)
        {
            findings.Warnings.Add($"{Shown(path)} has no effect: {reason}");
            isIgnored = true;
        }

        switch (key.Shape)
        {
            case KeyShape.Value:
                ReadValue(key, node, path, isIgnored);
                break;
            case KeyShape.Section:
                ReadSection(key, node, key.AliasTarget ?? path, isIgnored);
                break;
            case KeyShape.List:
                ReadList(key, node, path, isIgnored);
                break;
            case KeyShape.Map:
                foreach (var (name, child) in Entries(key, node, path) ?? [])
                    if (key.NameRule.Canonical(name) is null)
                        findings.Errors.Add($"{Shown(path)}: \"{Visible.Text(name)}\" is not allowed: {key.NameRule.Allowed}");
                    else
                        Read(key.Entry!, child, Join(path, name), isIgnored);
                break;
        }
    }

    private void ReadValue(KnownKey key, YamlNode node, string path, bool isIgnored)
    {
        if (node.IsEmpty)
        {
            if (key.IsMistakeEmpty && !isIgnored)
                findings.Errors.Add($"{Shown(path)}: it has no value; {key.Rule.Allowed} is required, or remove the key");
            return;
        }

        // Manuals write what is to be filled in as "username: [username]".
        if (node is YamlSequenceNode { Style: SequenceStyle.Flow, Children: [YamlScalarNode { IsEmpty: false } filledIn] })
        {
            findings.Warnings.Add($"{Shown(path)} is in brackets, as manuals write what is to be filled in; it is read without them");
            node = filledIn;
        }
        var text = (node as YamlScalarNode)?.Value;
        var canonical = text is null || isIgnored ? text : key.Rule.Canonical(text);
        // No name of a file has it, and the framework throws.
        if (text?.Contains('\0') == true)
            findings.Errors.Add($"{Shown(path)}: {Shown(key, node)} is not allowed: text without the character of code 0");
        else if (canonical is null)
            findings.Errors.Add($"{Shown(path)}: {Shown(key, node)} is not allowed: {key.Rule.Allowed}");
        else if (key.AliasTarget is { } target)
            _aliases[target] = canonical;
        else
            Values[path] = canonical;
        if (node is YamlScalarNode { Style: not (ScalarStyle.Plain or ScalarStyle.Any) } or YamlScalarNode { Tag.IsEmpty: false })
            Texts.Add(path);
    }

    private void ReadSection(KnownKey key, YamlNode node, string path, bool isIgnored)
    {
        if (key.IsChoice && node is YamlScalarNode { IsEmpty: false } choice)
            node = new YamlMappingNode(choice, new YamlScalarNode());

        if (Entries(key, node, path) is not { } entries)
            return;
        if (key.IsSetEmpty && !isIgnored)
            Values.TryAdd(path, "");

        foreach (var (name, child) in entries)
            if (key.Find(name) is { } known)
                Read(known, child, Join(path, name), isIgnored);
            else
                new UnknownKey(key, Shown(path), name, child, entries).Report(findings);

        // An entry that is turned off is not used.
        if (Values.GetValueOrDefault(Join(path, "disabled")) is "true")
            return;
        foreach (var required in key.Children.Where(child => child.IsRequired && !Values.ContainsKey(Join(path, child.Name))))
            // A value that is given but not allowed has its error already.
            if (!entries.Any(entry => entry.Name == required.Name && !entry.Node.IsEmpty))
                findings.Errors.Add($"{Shown(Join(path, required.Name))}: missing; {required.Rule.Allowed} is required");
    }

    private void ReadList(KnownKey key, YamlNode node, string path, bool isIgnored)
    {
        if (node.IsEmpty)
            return;

        // A single entry may stand without the list. A section without any key of an entry was meant to be something else: the keys that
        // the user chose there, such as names of registries, would be ignored.
        if (node is YamlMappingNode { Children.Count: > 0 } && key.Entry is { Shape: KeyShape.Section } section && !isIgnored
            && !YamlText.EntriesOf(node).Any(
                child => section.Find(child.Name) is not null || Suggestions.Similar(section, child.Name) is not null))
        {
            findings.Errors.Add($"{Shown(path)}: these keys are not allowed: it is a list; {FormOf(section)}");
            return;
        }

        // An empty list differs from no list: with it, the binder must not use the default.
        Values[path] = "";
        IEnumerable<YamlNode> entries = node is YamlSequenceNode list ? list : [node];
        foreach (var (i, entry) in entries.Index())
        {
            var place = Join(path, i.ToString(CultureInfo.InvariantCulture));
            var (values, errors) = (Values.Count, findings.Errors.Count);
            Read(key.Entry!, entry, place, isIgnored);
            // The binder leaves out an entry without values. Without its one upstream, a mirror would be a plain registry.
            if (key.NeedsEntries && !isIgnored && (Values.Count, findings.Errors.Count) == (values, errors))
                findings.Errors.Add($"{Shown(place)}: the entry is empty; " + (key.Entry!.Shape is KeyShape.Section
                    ? $"{FormOf(key.Entry)}, or remove it" : $"{key.Entry.Rule.Allowed} is required, or remove it"));
        }
    }

    private static string FormOf(KnownKey entry) =>
        $"write each entry with a dash before its keys: - {{{string.Join(", ", entry.MainKeys.Select(key => $"{key.Name}: ..."))}}}";

    /// <summary>The entries of a mapping, none for an empty node, or null and an error for anything else.</summary>
    private List<(string Name, YamlNode Node)>? Entries(KnownKey key, YamlNode node, string path)
    {
        if (node.IsEmpty)
            return [];
        if (node is YamlMappingNode)
            return [.. YamlText.EntriesOf(node)];

        var section = path is "" ? "the configuration" : Shown(path);
        findings.Errors.Add($"{section}: {Shown(key, node)} is not allowed: a section of keys and values");
        return null;
    }

    private static string Join(string path, string name) => path is "" ? name : ConfigurationPath.Combine(path, name);

    /// <summary>The path as messages write it: <c>proxy.remoteurl</c>.</summary>
    private static string Shown(string path) => Visible.Text(path.Replace(':', '.'));

    private static string Shown(KnownKey key, YamlNode node) => node switch
    {
        YamlScalarNode scalar => $"\"{Visible.Text(Secrets.Mask(key, key.Name, scalar.Value ?? ""))}\"",
        YamlSequenceNode => "a list",
        _ => "a section",
    };
}
