using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Reading;

/// <summary>A variable <c>REGISTRY_*</c> that stands for no known key. It causes a warning, or an error where the same key in a file does
/// (see <see cref="UnknownKey"/>).</summary>
/// <param name="root">The configuration after all other variables.</param>
/// <param name="rest">The name after <c>REGISTRY_</c>.</param>
internal sealed partial class UnknownVariable(YamlMappingNode root, string variable, string rest, string text)
{
    /// <summary>Reports the variable, with the one that was probably meant.</summary>
    public void Report(Findings findings)
    {
        var (nearest, isUnsafe) = IsOfService() ? (null, false) : Classify();
        findings.AddUnknown($"{variable} stands for no known key", isUnsafe,
            nearest is null ? "" : $"; nearest known variable: {EnvironmentOverrides.Prefix}{nearest.ToUpperInvariant()}");
    }

    private (string? Nearest, bool IsUnsafe) Classify()
    {
        var (section, node, path, name) = (KnownKeys.Root, (YamlNode?)root, "", rest);
        while (section.Children.FirstOrDefault(
            child => child.Shape is KeyShape.Section && EnvironmentOverrides.After(name, child.Name) is { Length: > 0 }) is { } below)
            (section, node, path, name) =
                (below, Below(node, below.Name), $"{path}{below.Name}_", EnvironmentOverrides.After(name, below.Name)!);

        // 1. A similar name in the section, or below it.
        var here = section == KnownKeys.Root ? null
            : Suggestions.Similar(section, name)?.Name ?? Suggestions.WithSameBeginning(section, name)?.Name;
        if ((here ?? Suggestions.Nearest(Suggestions.Paths(section, "", '_'), name)) is { } similar)
            return (path + similar, Meant(path + similar) is { } near && (near.IsVitalHere
                || near.IsVitalAlone && !YamlText.EntriesOf(node).Any(entry => entry.Name == near.Name && !entry.Node.IsEmpty)));

        // 2. What the same key in a file would be: A_B_C is the key a with b and c below it.
        string[] parts = name.ToLowerInvariant().Split('_');
        YamlNode inside = parts[1..].Reverse().Aggregate(
            (YamlNode)new YamlScalarNode(text), (inner, part) => new YamlMappingNode(new YamlScalarNode(part), inner));
        (string, YamlNode)[] entries =
        [
            .. YamlText.EntriesOf(node),
            (parts[0], inside),
        ];
        var (isUnsafe, nearest, _) = new UnknownKey(section, path.TrimEnd('_').Replace('_', '.'), parts[0], inside, entries).Classify();
        if (nearest is null)
            return (null, isUnsafe);

        // 3. What follows may be mistyped too.
        var (start, tail) = (nearest.Replace('.', '_'), string.Join('_', parts[1..]));
        var meant = Meant(start);
        var whole = tail is "" ? start
            : Meant($"{start}_{tail}") is not null ? $"{start}_{tail}"
            : meant is { Shape: KeyShape.Section } && (Suggestions.Similar(meant, tail) ?? Suggestions.WithSameBeginning(meant, tail))
                is { } close ? $"{start}_{close.Name}"
            : null;
        // Other programs have variables such as REGISTRY_USERNAME and REGISTRY_TLS_VERIFY.
        if (section == KnownKeys.Root)
            isUnsafe = isUnsafe && (parts.Any(UnknownKey.IsTelling) || meant is { IsVital: true } && whole is not null);
        return (whole ?? (isUnsafe && meant?.Main is { } main ? $"{start}_{main.Name}" : null), isUnsafe);
    }

    private static KnownKey? Meant(string name)
    {
        List<(KnownKey Key, string Name)> path = [];
        return EnvironmentOverrides.Resolve(KnownKeys.Root, name, path) ? path[^1].Key : null;
    }

    private static YamlNode? Below(YamlNode? node, string name) => YamlText.EntriesOf(node).FirstOrDefault(
        entry => name.Equals(entry.Name, StringComparison.OrdinalIgnoreCase)).Node;

    // A service "registry-http" has REGISTRY_HTTP_PORT with an address such as tcp://10.0.0.1:80, and a link REGISTRY_HTTP_NAME with a
    // path. With another value, such a name in one of our sections is a mistyped key.
    private bool IsOfService() =>
        OfService().Match(rest) is { Success: true } match
        && (!match.Groups["short"].Success || text.Contains("://", StringComparison.Ordinal) || text.StartsWith('/')
            || !KnownKeys.Root.Children.Any(
                child => child.Shape is KeyShape.Section && EnvironmentOverrides.After(rest, child.Name) is { Length: > 0 }));

    // Kubernetes and Docker's links set these in a container for each service whose name begins with "registry".
    [GeneratedRegex(
        "(?:^|_)(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_.*)?|(?<short>PORT|NAME)|ENV_.+)$",
        RegexOptions.CultureInvariant)]
    private static partial Regex OfService();
}
