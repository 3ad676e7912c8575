using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Reading;

/// <summary>A key that the table does not know. It causes a warning, or an error where it was probably meant to be a key without which the
/// server would be something else: open, without TLS, a plain registry, or with its content in another place.</summary>
/// <param name="section">The section that has the key.</param>
/// <param name="path">The path of the section, as messages write it.</param>
/// <param name="entries">All keys of the section.</param>
internal sealed class UnknownKey(
    KnownKey section, string path, string name, YamlNode node, IReadOnlyList<(string Name, YamlNode Node)> entries)
{
    // No other program has keys of these names. So a section that has one of them was meant to be ours, whatever its own name is.
    private static readonly string[] Telling = ["htpasswd", "oidc", "remoteurl", "upstreams", "filesystem"];
    private static readonly string[] TellingOfHttp = ["certificate", "clientcas"];
    // Without them the mirror asks upstream as a stranger.
    private static readonly string[] OfAccount = ["username", "password"];

    /// <summary>Reports the key, with the key that was probably meant: a similar name here, or the same name elsewhere.</summary>
    public void Report(Findings findings)
    {
        var unknown = Join(Visible.Text(name));
        var (isUnsafe, nearest, isIndented) = Classify();
        findings.AddUnknown($"{unknown} is not a known key", isUnsafe, nearest is null ? ""
            : isIndented ? $"; it is {nearest}: look at the indentation"
            : $"; nearest known key: {nearest}");
    }

    /// <summary>Whether it prevents the start, which key was probably meant, and whether the indentation may be wrong.</summary>
    public (bool IsUnsafe, string? Nearest, bool IsIndented) Classify()
    {
        var here = Suggestions.Similar(section, name);
        // A neighbour in the same section comes before a key of another one.
        var elsewhere = here is not null ? null
            : path is "" ? Suggestions.AtTop(name)
            : Suggestions.Below(section, path, name, withMisnomers: true) ?? Suggestions.Elsewhere(name);
        if (elsewhere is { Key: var meant } && (meant.IsVital
            || path is "" && (OfAccount.Contains(meant.Name) || meant.IsVitalAlone && !IsSet(elsewhere.Value.Path))))
            return (true, elsewhere.Value.Path, true);
        if (here is null && (elsewhere is null || !Fits(elsewhere.Value.Key, node)))
            here = Suggestions.WithSameBeginning(section, name);
        // Several sections have keys such as path or username. Which one was meant is known at the top only.
        var nearest = here is not null ? Join(here.Name)
            : elsewhere is { Key.IsVitalHere: true } || path is "" || Suggestions.IsUnique(name) ? elsewhere?.Path
            : null;
        var isAlone = IsAlone(here);
        if (here is null && isAlone && section.Main is { } main)
            nearest = Join(main.Name);
        return (section.IsChoice || here is not null && IsMeant(here) || isAlone || HasTelling(node), nearest, false);
    }

    private bool IsMeant(KnownKey here) =>
        here.IsVitalAlone && !IsSet(here.Name)
        || here.IsVitalHere && (here.Name.Equals(name, StringComparison.OrdinalIgnoreCase) || Fits(here, node))
        || here.Shape is KeyShape.Section && node is YamlMappingNode map && Names(map).Any(child => here.Find(child)?.IsVital == true);

    // A section that does nothing without a certain key, and has only unknown keys, was meant to do something. storage.inmemory does
    // something without any key.
    private bool IsAlone(KnownKey? here) =>
        section.IsVital && !section.IsSetEmpty && here is null or { IsVitalHere: true } && !entries.Any(
            entry => !entry.Node.IsEmpty && section.Find(entry.Name) is { } known
                && (known.IsVitalHere || !section.Children.Any(child => child.IsVitalHere)));

    // Whether a key below this section has a value.
    private bool IsSet(string below)
    {
        var found = entries;
        foreach (var step in below.Split('.')[..^1])
            found = [.. YamlText.EntriesOf(found.FirstOrDefault(entry => entry.Name == step).Node)];
        return found.Any(entry => entry.Name == below.Split('.')[^1] && !entry.Node.IsEmpty);
    }

    /// <summary>Whether no other program has a key of this name.</summary>
    public static bool IsTelling(string name) => Telling.Contains(name);

    private bool HasTelling(YamlNode below) =>
        !name.StartsWith("x-", StringComparison.OrdinalIgnoreCase) && below is YamlMappingNode map
        && (Names(map).Any(child => IsTelling(child) || section.Name is "http" && TellingOfHttp.Contains(child))
            || map.Children.Values.Any(HasTelling));

    /// <summary>Whether the node has the shape of the key, and something in it that the key has.</summary>
    private static bool Fits(KnownKey key, YamlNode node) => (key.Shape, node) switch
    {
        (_, YamlScalarNode { IsEmpty: true }) or (KeyShape.Anything, _) => true,
        (KeyShape.Section, YamlMappingNode map) => Names(map).Any(
            name => key.Find(name) is not null || Suggestions.Similar(key, name) is not null),
        (KeyShape.Section, YamlScalarNode choice) => key.IsChoice && key.Find(choice.Value!) is not null,
        (KeyShape.List, YamlSequenceNode list) => list.Children.Count == 0 || Fits(key.Entry!, list[0]),
        (KeyShape.List, _) => Fits(key.Entry!, node),
        (KeyShape.Map, YamlMappingNode) or (KeyShape.Value, YamlScalarNode or YamlSequenceNode) => true,
        _ => false,
    };

    private static IEnumerable<string> Names(YamlMappingNode map) => YamlText.EntriesOf(map).Select(entry => entry.Name);

    private string Join(string child) => path is "" ? child : $"{path}.{child}";
}
