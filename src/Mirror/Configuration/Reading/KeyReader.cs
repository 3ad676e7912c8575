using System.Globalization;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Reading;

/// <summary>
/// Holds a tree of YAML against the table of known keys: values that are allowed come out flat, in the spelling the binder takes;
/// everything else becomes a warning or an error.
/// </summary>
internal sealed class KeyReader(Findings findings)
{
    private readonly Dictionary<string, string?> _oldSpellings = [];

    /// <summary>The values read so far, by the binder's paths.</summary>
    public Dictionary<string, string?> Values { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Reads a whole configuration.</summary>
    public void Read(YamlNode root)
    {
        Read(KnownKeys.Root, root, KeyPath.Root, later: false);
        foreach (var (path, value) in _oldSpellings)
            Values.TryAdd(path, value);
    }

    private void Read(KnownKey key, YamlNode node, KeyPath path, bool later)
    {
        if (key.Refusal is { } why)
        {
            if (key.Shape is not KeyShape.Value || !node.IsEmpty)
                findings.Errors.Add($"{path.Shown}: {why}");
            return;
        }

        if (key.IsLater && !later && !node.IsEmpty)
        {
            findings.Warnings.Add($"{path.Shown} is accepted but not acted on yet");
            later = true;
        }

        switch (key.Shape)
        {
            case KeyShape.Value:
                ReadValue(key, node, path, later);
                break;
            case KeyShape.Section:
                ReadSection(key, node, key.NowSpelled is { } current ? KeyPath.Of(current) : path, later);
                break;
            case KeyShape.List:
                ReadList(key, node, path, later);
                break;
            case KeyShape.Map:
                ReadMap(key, node, path, later);
                break;
        }
    }

    private void ReadValue(KnownKey key, YamlNode node, KeyPath path, bool later)
    {
        if (node.IsEmpty)
            return;

        var text = (node as YamlScalarNode)?.Value;
        var canonical = text is null ? null : later ? text : key.Rule.Canonical(text);
        if (canonical is null)
            findings.Errors.Add($"{path.Shown}: {Shown(key, node)} is not allowed: {key.Rule.Allowed}");
        else if (key.NowSpelled is { } current)
            _oldSpellings[KeyPath.Of(current).Bound] = canonical;
        else
            Values[path.Bound] = canonical;
    }

    private void ReadSection(KnownKey key, YamlNode node, KeyPath path, bool later)
    {
        if (key.IsChoice && node is YamlScalarNode { IsEmpty: false } choice)
            node = new YamlMappingNode(choice, new YamlScalarNode());

        if (Entries(key, node, path) is not { } entries)
            return;

        foreach (var (name, child) in entries)
        {
            if (key.Find(name) is { } known)
                Read(known, child, path.Child(name), later);
            else if (key.IsStrict)
                findings.Errors.Add($"{path.Child(name).Shown} is not a known key, and ignoring it would not be safe; nearest known key: {Suggestions.Key(key, path.Shown, name)}");
            else
                findings.Warnings.Add($"{path.Child(name).Shown} is not a known key and is ignored; nearest known key: {Suggestions.Key(key, path.Shown, name)}");
        }

        foreach (var required in key.Children.Where(child => child.IsRequired && !Values.ContainsKey(path.Child(child.Name).Bound)))
        {
            // One that is there but wrong has been reported already.
            if (!entries.Any(entry => entry.Name == required.Name && !entry.Node.IsEmpty))
                findings.Errors.Add($"{path.Child(required.Name).Shown}: missing; {required.Rule.Allowed} is required");
        }
    }

    private void ReadMap(KnownKey key, YamlNode node, KeyPath path, bool later)
    {
        foreach (var (name, child) in Entries(key, node, path) ?? [])
            Read(key.Entry!, child, path.Child(name), later);
    }

    private void ReadList(KnownKey key, YamlNode node, KeyPath path, bool later)
    {
        if (node.IsEmpty)
            return;

        // Said to be empty, which is not the same as not said: the binder must not put the default there.
        Values[path.Bound] = "";
        IEnumerable<YamlNode> entries = node is YamlSequenceNode list ? list : [node];
        foreach (var (i, entry) in entries.Index())
            Read(key.Entry!, entry, path.Child(i.ToString(CultureInfo.InvariantCulture)), later);
    }

    /// <summary>The entries of a mapping, none for an empty node, or null (and an error) for anything else.</summary>
    private List<(string Name, YamlNode Node)>? Entries(KnownKey key, YamlNode node, KeyPath path)
    {
        if (node.IsEmpty)
            return [];
        if (node is YamlMappingNode map)
            return [.. map.Children.Select(entry => ((entry.Key as YamlScalarNode)?.Value ?? "", entry.Value))];

        findings.Errors.Add($"{(path.Shown is "" ? "the configuration" : path.Shown)}: {Shown(key, node)} is not allowed: a section of keys and values");
        return null;
    }

    private static string Shown(KnownKey key, YamlNode node) => node switch
    {
        YamlScalarNode scalar => $"\"{Secrets.Mask(key, key.Name, scalar.Value ?? "")}\"",
        YamlSequenceNode => "a list",
        _ => "a section",
    };
}
