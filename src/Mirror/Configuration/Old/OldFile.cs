using Mirror.Configuration.Reading;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Old;

/// <summary>The configuration file of docker-registry 0.x: sections called flavors, one of which is used, with values such as
/// <c>_env:NAME:DEFAULT</c>.</summary>
internal static class OldFile
{
    /// <summary>The variable that names the file.</summary>
    public const string PathVariable = "DOCKER_REGISTRY_CONFIG";

    /// <summary>The variable that names the flavor.</summary>
    public const string FlavorVariable = "SETTINGS_FLAVOR";

    private const string DefaultFlavor = "dev";
    private const string Reference = "_env:";

    /// <summary>The file that <c>DOCKER_REGISTRY_CONFIG</c> names, or null. A relative name is looked for in the folder <c>config</c>, then
    /// in the current folder.</summary>
    public static string? Find(IReadOnlyDictionary<string, string> environment) =>
        Value(environment, PathVariable) is not { } name ? null
        : Path.Combine("config", name) is var inConfig && File.Exists(inConfig) ? inConfig
        : name;

    /// <summary>Whether a file is of docker-registry 0.x. A file of today says its version.</summary>
    /// <param name="isNamedAsOld">Whether the old variables name the file or a flavor of it.</param>
    public static bool Is(YamlNode root, bool isNamedAsOld) =>
        root is YamlMappingNode { Children.Count: > 0 } map && !map.Children.ContainsKey(new YamlScalarNode("version"))
        && (isNamedAsOld
            ? map.Children.Values.All(section => section is YamlMappingNode)
            : map.Children.Values.Any(section => IsFlavor(section) || HasReference(section)));

    /// <summary>The flavor that <c>SETTINGS_FLAVOR</c> names, with the values of the environment; null and an error where the file does not
    /// have it.</summary>
    /// <param name="otherNames">A second variable for some names, which counts where the first is not set.</param>
    public static (string Name, YamlMappingNode Keys)? Flavor(
        YamlMappingNode root, IReadOnlyDictionary<string, string> environment, IReadOnlyDictionary<string, string> otherNames,
        Findings findings)
    {
        var flavors = root.Children.Where(section => section.Value is YamlMappingNode)
            .Select(section => section.Key).OfType<YamlScalarNode>().Select(key => key.Value ?? "").ToList();
        var name = Value(environment, FlavorVariable) ?? DefaultFlavor;
        if (Value(environment, FlavorVariable) is null && !flavors.Contains(name) && flavors is [var only])
        {
            findings.Warnings.Add($"the file has one flavor, {only}, which is used although {FlavorVariable} does not name it");
            name = only;
        }
        if (!root.Children.TryGetValue(new YamlScalarNode(name), out var found) || found is not YamlMappingNode flavor)
        {
            findings.Errors.Add(
                $"{FlavorVariable}: the file has no flavor \"{name}\"; it has {string.Join(", ", flavors)}");
            return null;
        }
        return (name, (YamlMappingNode)Resolve(flavor));

        YamlNode Resolve(YamlNode node) => node switch
        {
            YamlScalarNode { Value: { } text } when text.StartsWith(Reference, StringComparison.Ordinal) => ValueOf(text),
            YamlMappingNode map => new YamlMappingNode(map.Children.Select(entry => KeyValuePair.Create(entry.Key, Resolve(entry.Value)))),
            YamlSequenceNode list => new YamlSequenceNode(list.Children.Select(Resolve)),
            _ => node,
        };

        // Only the first two colons count, so the default may have some.
        YamlNode ValueOf(string reference)
        {
            var parts = reference.Split(':', 3);
            var (variable, missing) = (parts[1], parts.Length > 2 ? parts[2] : "");
            var text = environment.GetValueOrDefault(variable)
                ?? (otherNames.TryGetValue(variable, out var second) ? environment.GetValueOrDefault(second) : null)
                ?? missing;
            try
            {
                var value = YamlText.Parse(text);
                // A password such as #1 is a comment in YAML.
                return value.IsEmpty && text.Trim() is not ("" or "~" or "null") ? new YamlScalarNode(text) : value;
            }
            catch (YamlException)
            {
                return new YamlScalarNode(text);
            }
        }
    }

    /// <summary>A variable that is set to something.</summary>
    public static string? Value(IReadOnlyDictionary<string, string> environment, string variable) =>
        environment.GetValueOrDefault(variable) is { Length: > 0 } value ? value : null;

    private static bool IsFlavor(YamlNode section) =>
        section is YamlMappingNode keys && keys.Children.TryGetValue(new YamlScalarNode("storage"), out var storage)
        && storage is YamlScalarNode { IsEmpty: false };

    private static bool HasReference(YamlNode node) => node switch
    {
        YamlScalarNode { Value: { } text } => text.StartsWith(Reference, StringComparison.Ordinal),
        YamlMappingNode map => map.Children.Values.Any(HasReference),
        YamlSequenceNode list => list.Children.Any(HasReference),
        _ => false,
    };
}
