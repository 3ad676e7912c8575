using System.Collections;
using System.Globalization;
using System.Reflection;
using Mirror.Configuration.Reading;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Mirror.Configuration;

/// <summary>Where a setting comes from.</summary>
public enum SettingSource
{
    Default,
    File,
    Variable,
}

/// <summary>A setting in force.</summary>
/// <param name="Value">With three stars in place of a secret.</param>
public sealed record SettingInForce(string Key, string Value, SettingSource Source);

/// <summary>Reads the configuration in force: set by what starts the server.</summary>
public sealed record ConfigurationInForce(Func<MirrorConfiguration> Read);

/// <summary>Writes the configuration in force as YAML: with defaults, and with secrets masked.</summary>
public static class EffectiveConfiguration
{
    public static void Write(MirrorConfiguration configuration, TextWriter output)
    {
        var tree = Tree(configuration);
        var yaml = new Emitter(output);
        yaml.Emit(new StreamStart());
        yaml.Emit(new DocumentStart(null, null, isImplicit: true));
        EmitMapping(yaml, KnownKeys.Root, tree.GetChildren(), configuration.IsText);
        yaml.Emit(new DocumentEnd(isImplicit: true));
        yaml.Emit(new StreamEnd());
    }

    /// <summary>Every setting by its key, with secrets masked, in the order of the documentation.</summary>
    public static IReadOnlyList<SettingInForce> List(MirrorConfiguration configuration)
    {
        List<SettingInForce> settings = [];
        Add(KnownKeys.Root, Tree(configuration).GetChildren());
        return settings;

        void Add(KnownKey? key, IEnumerable<IConfigurationSection> sections)
        {
            foreach (var section in InOrder(key, sections))
            {
                var known = key switch
                {
                    { Shape: KeyShape.List or KeyShape.Map } => Inherit(key),
                    _ => key?.Find(section.Key),
                };
                var children = section.GetChildren().ToList();
                if (children.Count > 0)
                    Add(known, children);
                else if (section.Value is { } value)
                    settings.Add(new(
                        section.Path.Replace(':', '.'), Secrets.Mask(known, section.Key, value), SourceOf(configuration, section.Path)));
            }
        }
    }

    private static SettingSource SourceOf(MirrorConfiguration configuration, string path) =>
        configuration.VariableOfKey(path.Replace(':', '.')) is not null ? SettingSource.Variable
        : configuration.Values.GetSection(path).Exists() ? SettingSource.File
        : SettingSource.Default;

    // The order of the table is the order of the registry's own documentation.
    private static IEnumerable<IConfigurationSection> InOrder(KnownKey? key, IEnumerable<IConfigurationSection> sections) =>
        sections.OrderBy(section => key?.Children.TakeWhile(known => known.Name != section.Key).Count() ?? 0);

    private static IConfigurationRoot Tree(MirrorConfiguration configuration)
    {
        Dictionary<string, string?> settings = new(StringComparer.OrdinalIgnoreCase) { ["version"] = "0.1" };
        Flatten(configuration.Options, "", settings);
        // The driver that the user did not choose has defaults too.
        if (configuration.Options.Storage.Bucket() is not null)
            foreach (var unused in settings.Keys.Where(key => key.StartsWith("storage:filesystem", StringComparison.Ordinal)).ToList())
                settings.Remove(unused);
        // The settings over the values of the file, which also has keys that are not acted on.
        return new ConfigurationBuilder()
            .AddInMemoryCollection(configuration.Values.AsEnumerable())
            .AddInMemoryCollection(settings)
            .Build();
    }

    /// <summary>Adds every setting by the path of its key. Reflection is slow, but only this command uses it.</summary>
    private static void Flatten(object options, string path, Dictionary<string, string?> values)
    {
        foreach (var property in options.GetType().GetProperties().Where(property => property.CanWrite))
        {
            if (property.GetValue(options) is not { } value)
                continue;
#pragma warning disable CA1308 // The registry's keys are lower case.
            var name = property.GetCustomAttribute<ConfigurationKeyNameAttribute>()?.Name ?? property.Name.ToLowerInvariant();
#pragma warning restore CA1308
            FlattenValue(value, path is "" ? name : ConfigurationPath.Combine(path, name), values);
        }
    }

    private static void FlattenValue(object value, string path, Dictionary<string, string?> values)
    {
        switch (value)
        {
            case IDictionary map:
                foreach (DictionaryEntry entry in map)
                    FlattenValue(entry.Value!, ConfigurationPath.Combine(path, (string)entry.Key), values);
                break;
            case string[] list:
                values[path] = "";
                foreach (var (i, entry) in list.Index())
                    values[ConfigurationPath.Combine(path, i.ToString(CultureInfo.InvariantCulture))] = entry;
                break;
            case object[] list:
                values[path] = "";
                foreach (var (i, entry) in list.Index())
                    Flatten(entry, ConfigurationPath.Combine(path, i.ToString(CultureInfo.InvariantCulture)), values);
                break;
            case not (string or Uri) when value.GetType() is { IsClass: true }:
                Flatten(value, path, values);
                break;
            default:
                values[path] = Text(value);
                break;
        }
    }

    /// <summary>The value of a setting as the file spells it.</summary>
    internal static string Text(object value) => value switch
    {
        true => "true",
        false => "false",
        TimeSpan duration => GoDuration.Format(duration),
        Enum word => ValueRules.WordOf(word),
        Uri url => url.OriginalString,
        _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
    };

    private static void EmitMapping(
        Emitter yaml, KnownKey? key, IEnumerable<IConfigurationSection> children, Predicate<string> isText)
    {
        yaml.Emit(new MappingStart());
        foreach (var child in InOrder(key, children))
        {
            yaml.Emit(new Scalar(child.Key));
            Emit(yaml, key?.Find(child.Key), child, isText);
        }
        yaml.Emit(new MappingEnd());
    }

    private static void Emit(Emitter yaml, KnownKey? key, IConfigurationSection section, Predicate<string> isText)
    {
        var children = section.GetChildren().ToList();
        if (key is { Shape: KeyShape.List })
        {
            yaml.Emit(new SequenceStart(default, default, isImplicit: true, SequenceStyle.Any));
            foreach (var child in children)
                Emit(yaml, Inherit(key), child, isText);
            yaml.Emit(new SequenceEnd());
        }
        else if (children.Count > 0)
            EmitMapping(yaml, key?.Shape is KeyShape.Map ? key with { Entry = Inherit(key) } : key, children, isText);
        else
        {
            var value = Secrets.Mask(key, section.Key, section.Value ?? "");
            // Without its quotes, such a value would be read as a number, or as true or false.
            var isQuoted = isText(section.Path) && PlainScalar.Of(value) is not string;
            yaml.Emit(new Scalar(
                AnchorName.Empty, TagName.Empty, value, isQuoted ? ScalarStyle.DoubleQuoted : ScalarStyle.Any, isPlainImplicit: true,
                isQuotedImplicit: true));
        }
    }

    // The entries of a secret list or map are secret.
    private static KnownKey? Inherit(KnownKey key) => key.IsSecret ? key.Entry?.Secret() : key.Entry;
}
