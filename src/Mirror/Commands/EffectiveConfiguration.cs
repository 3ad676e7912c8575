using System.Collections;
using System.Globalization;
using System.Reflection;
using Mirror.Configuration;
using Mirror.Configuration.Reading;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Mirror.Commands;

/// <summary>Writes the configuration in force as YAML: with defaults, and with secrets masked.</summary>
public static class EffectiveConfiguration
{
    public static void Write(MirrorConfiguration configuration, TextWriter output)
    {
        Dictionary<string, string?> settings = new(StringComparer.OrdinalIgnoreCase) { ["version"] = "0.1" };
        Flatten(configuration.Options, "", settings);
        // The driver that the user did not choose has defaults too.
        if (configuration.Options.Storage.Bucket() is not null)
            foreach (var unused in settings.Keys.Where(key => key.StartsWith("storage:filesystem", StringComparison.Ordinal)).ToList())
                settings.Remove(unused);
        // The settings over the values of the file, which also has keys that are not acted on.
        var tree = new ConfigurationBuilder()
            .AddInMemoryCollection(configuration.Values.AsEnumerable())
            .AddInMemoryCollection(settings)
            .Build();

        var yaml = new Emitter(output);
        yaml.Emit(new StreamStart());
        yaml.Emit(new DocumentStart(null, null, isImplicit: true));
        EmitMapping(yaml, KnownKeys.Root, tree.GetChildren());
        yaml.Emit(new DocumentEnd(isImplicit: true));
        yaml.Emit(new StreamEnd());
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

    private static void EmitMapping(Emitter yaml, KnownKey? key, IEnumerable<IConfigurationSection> children)
    {
        yaml.Emit(new MappingStart());
        // The order of the table is the order of the registry's own documentation.
        foreach (var child in children.OrderBy(child => key?.Children.TakeWhile(known => known.Name != child.Key).Count() ?? 0))
        {
            yaml.Emit(new Scalar(child.Key));
            Emit(yaml, key?.Find(child.Key), child);
        }
        yaml.Emit(new MappingEnd());
    }

    private static void Emit(Emitter yaml, KnownKey? key, IConfigurationSection section)
    {
        var children = section.GetChildren().ToList();
        if (key is { Shape: KeyShape.List })
        {
            yaml.Emit(new SequenceStart(default, default, isImplicit: true, SequenceStyle.Any));
            foreach (var child in children)
                Emit(yaml, Inherit(key), child);
            yaml.Emit(new SequenceEnd());
        }
        else if (children.Count > 0)
            EmitMapping(yaml, key?.Shape is KeyShape.Map ? key with { Entry = Inherit(key) } : key, children);
        else
            yaml.Emit(new Scalar(Secrets.Mask(key, section.Key, section.Value ?? "")));
    }

    // The entries of a secret list or map are secret.
    private static KnownKey? Inherit(KnownKey key) => key.IsSecret ? key.Entry?.Secret() : key.Entry;
}
