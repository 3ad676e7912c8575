using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mirror.Configuration;
using Mirror.Hosting;
using Mirror.Storage;
using Mirror.Tests.Architecture;
using Mirror.Tests.Peers;
using Xunit;
using static Mirror.Tests.Configuration.ConfigurationText;
using static Mirror.Tests.Configuration.SampleOfRegistry2;

namespace Mirror.Tests.Configuration;

/// <summary>What becomes of each key of <see cref="SampleOfRegistry2"/> is what docs/configuration.md says of it.</summary>
public sealed partial class SampleOfRegistry2Tests
{
    private const string ActedOn = "acted on", Translated = "translated", WithoutEffect = "without effect", Refused = "refused";

    private static readonly JsonSerializerOptions SettingsOnly = new() { IgnoreReadOnlyProperties = true };

    private static readonly Dictionary<string, string> Fates = Documented();

    [Fact]
    public void The_documentation_says_of_each_key_what_becomes_of_it()
    {
        Assert.Equal(166, Keys.Length);
        Assert.Equal(Keys.Select(key => key.Key).Order(StringComparer.Ordinal), Fates.Keys.Order(StringComparer.Ordinal));
        Assert.Empty(Fates.Values.Except([ActedOn, Translated, WithoutEffect, Refused]));
        Assert.True(Fates.Values.Count(fate => fate is ActedOn or Translated) >= 150);
    }

    [Fact]
    public void Each_key_changes_what_the_documentation_says()
    {
        List<string> wrong = [];
        foreach (var (key, _) in Keys)
        {
            var file = Beside(key).ToList();
            var (with, without) = (Load(Yaml(file)), Load(Yaml(file.Where(other => other.Key != key))));
            var isChanged = Snapshot(with, key) != Snapshot(without, key) || without.Errors.Count > with.Errors.Count;
            var isRight = Fates[key] switch
            {
                // The start of another version fails.
                ActedOn when key is "version" => Load(Yaml(file).Replace("0.1", "0.2", StringComparison.Ordinal)).Errors.Count == 1,
                // As in registry:2, a middleware that does not exist.
                ActedOn when key.StartsWith("middleware.re", StringComparison.Ordinal) =>
                    with.Errors.Any(IsUnknown) && !without.Errors.Any(IsUnknown),
                ActedOn or Translated => isChanged && with.Errors.Count == 0,
                WithoutEffect => !isChanged,
                _ => with.Errors.Any(error => error.Contains(key, StringComparison.Ordinal)),
            };
            if (!isRight)
                wrong.Add($"{key} is not {Fates[key]}: {string.Join("; ", with.Errors)} / {string.Join("; ", without.Errors)}");
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));

        static bool IsUnknown(string error) => error.Contains("there is no middleware ours", StringComparison.Ordinal);
    }

    [Fact]
    public void The_code_reads_each_setting()
    {
        var read = new Arrows(typeof(Server).Assembly, typeof(Digest).Assembly).CalledBy(
            caller => caller.Namespace is not "Mirror.Configuration.Reading");

        // An entry of proxy.policies without deny allows: allow only says so.
        Assert.Equal(["CachePolicyOptions.Allow"], SettingsUnder(typeof(MirrorOptions))
            .Where(setting => !read.Contains(setting.GetMethod!))
            .Select(setting => $"{setting.DeclaringType!.Name}.{setting.Name}").Distinct());
    }

    private static IEnumerable<PropertyInfo> SettingsUnder(Type section)
    {
        foreach (var setting in section.GetProperties().Where(property => property.CanWrite))
        {
            // As the class has it that declares it.
            yield return setting.DeclaringType!.GetProperty(setting.Name)!;
            var type = setting.PropertyType.IsArray ? setting.PropertyType.GetElementType()! : setting.PropertyType;
            if (type.Namespace?.StartsWith(nameof(Mirror), StringComparison.Ordinal) == true && !type.IsEnum)
                foreach (var below in SettingsUnder(type))
                    yield return below;
        }
    }

    private static string Snapshot(MirrorConfiguration configuration, string key)
    {
        // Google's library gets the whole key, and does not look at all its fields.
        if (Fates[key] is WithoutEffect && key.StartsWith("storage.gcs.credentials.", StringComparison.Ordinal))
            configuration.Options.Storage.Gcs?.Credentials?.Remove(key.Split('.')[^1]);
        return JsonSerializer.Serialize(configuration.Options, SettingsOnly);
    }

    private static Dictionary<string, string> Documented()
    {
        Dictionary<string, string> fates = [];
        var lines = File.ReadLines(Path.Combine(MirrorProcess.Repository, "docs", "configuration.md"));
        foreach (var line in lines.SkipWhile(line => line is not "## The sample of registry:2").Skip(1)
            .TakeWhile(line => !line.StartsWith("## ", StringComparison.Ordinal)))
            if (line.Split(" | ") is [var keys, var fate, _] && keys.StartsWith("| `", StringComparison.Ordinal))
            {
                var section = "";
                foreach (var key in Quoted().Matches(keys).Select(match => match.Groups[1].Value))
                {
                    section = key[0] == '.' ? section : key[..(key.LastIndexOf('.') + 1)];
                    fates.Add(key[0] == '.' ? section + key[1..] : key, fate);
                }
            }
        return fates;
    }

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();
}
