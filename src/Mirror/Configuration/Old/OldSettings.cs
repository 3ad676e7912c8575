using Mirror.Configuration.Reading;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Old;

/// <summary>The keys of a flavor, and what has become of them so far.</summary>
internal sealed class OldSettings
{
    private const string Masked = "***";

    // In the order of the file. A key of a section is cache.host; a list is one key.
    private readonly List<(string Name, YamlNode Node)> _keys = [];
    private readonly List<OldKey> _fates = [];

    public OldSettings(YamlMappingNode flavor) => Flatten(flavor, "");

    /// <summary>Today's settings.</summary>
    public YamlMappingNode Today { get; } = new(new YamlScalarNode("version"), new YamlScalarNode("0.1"));

    /// <summary>What has become of the keys, in the order of the file; other names come after them.</summary>
    public IReadOnlyList<OldKey> Fates => [.. _fates.OrderBy(fate => _keys.FindIndex(key => key.Name == fate.Name) switch
    {
        < 0 => int.MaxValue,
        var at => at,
    })];

    /// <summary>The keys with a value of which nothing has become yet.</summary>
    public IEnumerable<string> Left =>
        [.. _keys.Where(key => !key.Node.IsEmpty && !_fates.Exists(fate => fate.Name == key.Name)).Select(key => key.Name)];

    /// <summary>The text of a key; null where it has none.</summary>
    public string? this[string name] => Find(name) is YamlScalarNode { IsEmpty: false } scalar ? scalar.Value : null;

    /// <summary>Whether a key has any value.</summary>
    public bool Has(string name) => Find(name) is { IsEmpty: false };

    /// <summary>Whether a key says yes; null where it has no value, or another one.</summary>
    public bool? Flag(string name) => this[name] is { } text && ValueRules.TrueOrFalse.Canonical(text) is { } word ? word == "true" : null;

    /// <summary>The entries of a list, or the text as its only entry; none where the key has no value.</summary>
    public IReadOnlyList<string> List(string name) =>
        Find(name) is YamlSequenceNode list ? [.. list.Children.OfType<YamlScalarNode>().Select(entry => entry.Value ?? "")]
        : this[name] is { } text ? [text] : [];

    /// <summary>Makes a key the setting of today at a path; nothing where the key has no value.</summary>
    /// <param name="value">What the setting is; null: the text of the key.</param>
    public void Take(string name, string path, string? value = null)
    {
        if (!Has(name))
            return;
        Set(path, value ?? this[name] ?? "");
        Say(name, OldKeyFate.Taken, path);
    }

    /// <summary>Says what has become of a key that has a value.</summary>
    public void Say(string name, OldKeyFate fate, string text)
    {
        if (Has(name))
            Say(name, Shown(name), fate, text);
    }

    /// <summary>Says what has become of a variable of the process.</summary>
    public void Say(string name, string value, OldKeyFate fate, string text)
    {
        _fates.RemoveAll(earlier => earlier.Name == name);
        _fates.Add(new(name, Secrets.Mask(null, name, value), fate, text));
    }

    /// <summary>The same of every key that is left and begins so.</summary>
    public void SayOfAll(string prefix, OldKeyFate fate, string text)
    {
        foreach (var name in Left.Where(name => name.StartsWith(prefix, StringComparison.Ordinal)))
            Say(name, fate, text);
    }

    /// <summary>Sets today's setting at a path such as <c>storage.s3.bucket</c>.</summary>
    public void Set(string path, string value) => Set(path, new YamlScalarNode(value));

    /// <inheritdoc cref="Set(string, string)"/>
    public void Set(string path, YamlNode value)
    {
        var map = Today;
        var names = path.Split('.');
        foreach (var name in names[..^1])
        {
            if (!map.Children.TryGetValue(new YamlScalarNode(name), out var child))
                map.Children[new YamlScalarNode(name)] = child = new YamlMappingNode();
            map = (YamlMappingNode)child;
        }
        map.Children[new YamlScalarNode(names[^1])] = value;
    }

    private YamlNode? Find(string name) => _keys.Find(key => key.Name == name).Node;

    private string Shown(string name) =>
        name.EndsWith("bugsnag", StringComparison.Ordinal) || name.EndsWith("accessid", StringComparison.Ordinal) ? Masked
        : string.Join(", ", List(name));

    private void Flatten(YamlMappingNode map, string path)
    {
        foreach (var (key, value) in map.Children)
            if (path + (key as YamlScalarNode)?.Value is var name && value is YamlMappingNode { Children.Count: > 0 } section)
                Flatten(section, $"{name}.");
            else
                _keys.Add((name, value));
    }
}
