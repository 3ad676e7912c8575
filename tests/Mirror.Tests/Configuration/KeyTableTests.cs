using System.Collections;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Configuration;
using Mirror.Configuration;
using Mirror.Configuration.Reading;
using Xunit;
using YamlDotNet.RepresentationModel;

namespace Mirror.Tests.Configuration;

/// <summary>Each key stands in three places: its row, its property and its line in docs/configuration.md. They must agree.</summary>
public sealed partial class KeyTableTests
{
    private static readonly StringComparer IgnoreCase = StringComparer.OrdinalIgnoreCase;

    private static readonly Dictionary<string, object?> Defaults = Settings(new MirrorOptions(), "").ToDictionary(IgnoreCase);

    private static readonly Dictionary<string, KnownKey> Rows = RowsUnder(KnownKeys.Root, "").ToDictionary();

    [Fact]
    public void Every_row_that_is_acted_on_sets_a_property() => Assert.Empty(Rows.Keys.Except(Defaults.Keys, IgnoreCase));

    [Fact]
    public void Every_property_has_a_row() => Assert.Empty(Defaults.Keys.Except(Rows.Keys, IgnoreCase));

    [Fact]
    public void Every_key_is_documented_with_its_default()
    {
        var documented = Documented();

        // An entry of proxy.upstreams has the keys of section proxy.
        Assert.Empty(Rows.Keys.Where(key => !key.StartsWith("proxy.upstreams[]", StringComparison.Ordinal)).Except(documented.Keys));
        foreach (var (key, text) in documented.Where(line => line.Key is not "proxy.upstreams[]"))
        {
            Assert.True(Defaults.TryGetValue(key, out var value), $"{key} is documented, but it is not acted on");
            Assert.Equal($"{key}: {Canonical(key, Texts(value))}", $"{key}: {Canonical(key, Parse(text))}");
        }
    }

    [Fact]
    public void Every_key_without_effect_is_documented_with_the_reason()
    {
        var documented = File.ReadLines(Page()).SkipWhile(line => line is not "## Unknown and unused keys")
            .Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .SelectMany(line => Quoted().Matches(line.Split(" | ")[0]).Select(match => match.Groups[1].Value)).ToHashSet();

        Assert.Empty(WithoutEffect(KnownKeys.Root, "").Except(documented));
    }

    /// <summary>The paths of the rows that have no effect; of a section that has none, its own path.</summary>
    private static IEnumerable<string> WithoutEffect(KnownKey section, string path)
    {
        foreach (var key in section.Children.Where(key => key is { AliasTarget: null, Name: not "version" }))
        {
            var child = path is "" ? key.Name : $"{path}.{key.Name}";
            if (key.IsNotActedOn || key.HasNoEffect || child is "redis.pool")
                yield return child;
            else
                foreach (var below in WithoutEffect(key, child))
                    yield return below;
        }
    }

    /// <summary>Every setting by the path of its key, with its default. A key in a list of sections has [] after the list.</summary>
    private static IEnumerable<KeyValuePair<string, object?>> Settings(object section, string path)
    {
        foreach (var property in section.GetType().GetProperties().Where(property => property.CanWrite))
        {
            var name = property.GetCustomAttribute<ConfigurationKeyNameAttribute>()?.Name ?? property.Name;
            var (child, type) = (path is "" ? name : $"{path}.{name}", property.PropertyType);
            if (type.IsArray && type != typeof(string[]))
                (child, type) = (child + "[]", type.GetElementType()!);
            if (!type.Namespace!.StartsWith(nameof(Mirror), StringComparison.Ordinal) || type.IsEnum)
                yield return new(child, property.GetValue(section));
            else
                foreach (var setting in Settings(Activator.CreateInstance(type)!, child))
                    yield return setting;
        }
    }

    /// <summary>Every row that is acted on, by the path of its key.</summary>
    private static IEnumerable<KeyValuePair<string, KnownKey>> RowsUnder(KnownKey section, string path)
    {
        foreach (var key in section.Children)
        {
            if (key is not { IsNotActedOn: false, HasNoEffect: false, AliasTarget: null })
                continue;
            var child = path is "" ? key.Name : $"{path}.{key.Name}";
            var rows = key switch
            {
                { Shape: KeyShape.Section } => RowsUnder(key, child),
                { Shape: KeyShape.List, Entry: { Shape: KeyShape.Section } entry } => RowsUnder(entry, child + "[]"),
                _ => [new(child, key)],
            };
            foreach (var row in rows)
                yield return row;
        }
    }

    /// <summary>The keys of the tables in docs/configuration.md, each with its default; empty if words describe it.</summary>
    private static Dictionary<string, string> Documented()
    {
        Dictionary<string, string> documented = [];
        var page = File.ReadLines(Page());
        foreach (var line in page.SkipWhile(line => line is not "## Keys").TakeWhile(line => line is not "## Environment"))
            if (line.Split(" | ") is [var keys, var value, _] && keys.StartsWith("| `", StringComparison.Ordinal))
            {
                var first = "";
                foreach (var key in Quoted().Matches(keys).Select(match => match.Groups[1].Value))
                {
                    first = key[0] == '.' ? first : key[..(key.LastIndexOf('.') + 1)];
                    documented.Add(key[0] == '.' ? first + key[1..] : key, value[0] == '`' ? value.Trim('`') : "");
                }
            }
        return documented;
    }

    private static string Page([CallerFilePath] string thisFile = "") =>
        Path.Combine(Path.GetDirectoryName(thisFile)!, "../../../docs/configuration.md");

    private static string[] Texts(object? value) => value switch
    {
        null or "" or IDictionary => [],
        string[] list => list,
        _ => [EffectiveConfiguration.Text(value)],
    };

    private static IEnumerable<string> Parse(string text) => YamlText.Parse(text) switch
    {
        { IsEmpty: true } => [],
        YamlSequenceNode list => list.Select(node => ((YamlScalarNode)node).Value!),
        _ => [text],
    };

    /// <summary>The values as the rule of the key writes them, so that 10MiB and 10485760 are the same.</summary>
    private static string Canonical(string key, IEnumerable<string> values) =>
        string.Join(", ", values.Select((Rows[key].Entry ?? Rows[key]).Rule.Canonical));

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();
}
