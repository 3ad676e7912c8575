using Mirror.Configuration.Reading;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration;

/// <summary>The configuration as it was found: the file, then the environment over it.</summary>
public sealed class MirrorConfiguration
{
    private MirrorConfiguration(string? file, IReadOnlyDictionary<string, string?> values, Findings findings)
    {
        File = file;
        Values = new ConfigurationBuilder().AddInMemoryCollection(values).Build();
        Options = new MirrorOptions();
        // The binder adds to an array that is there, and a list that is given stands alone.
        if (Values.GetSection("hosted:repositories").Exists())
            Options.Hosted.Repositories = [];
        Values.Bind(Options);
        Errors = findings.Errors;
        Warnings = findings.Warnings;
    }

    /// <summary>The file that was read; null where there is none and the built-in configuration holds.</summary>
    public string? File { get; }

    /// <summary>What is acted on. Where there are <see cref="Errors"/>, the values in error are at their defaults.</summary>
    public MirrorOptions Options { get; }

    /// <summary>Every known key that was given, in the binder's spelling: <c>proxy:tags_cache_ttl</c> is <c>00:10:00</c>.</summary>
    public IConfiguration Values { get; }

    /// <summary>What makes a start impossible, a line each; none where all is well.</summary>
    public IReadOnlyList<string> Errors { get; }

    /// <summary>What was ignored, a line each.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>Reads the configuration. What is wrong with it is returned, never thrown.</summary>
    /// <param name="path">The file asked for; null looks where the registry's users put it.</param>
    /// <param name="environment">The process's environment; only <c>REGISTRY_*</c> is read.</param>
    public static MirrorConfiguration Load(string? path, IReadOnlyDictionary<string, string> environment) =>
        Load(path, environment, ConfigurationFile.UsualPaths);

    internal static MirrorConfiguration Load(string? path, IReadOnlyDictionary<string, string> environment, IReadOnlyList<string> usualPaths)
    {
        var findings = new Findings();
        var reader = new KeyReader(findings);
        var file = ConfigurationFile.Find(path, environment, usualPaths);
        if (Tree(file, findings) is { } root)
        {
            if (root is YamlMappingNode map)
                EnvironmentOverrides.Apply(map, environment, findings);
            reader.Read(root);
        }
        var configuration = new MirrorConfiguration(file, reader.Values, findings);
        CrossKeyRules.Check(configuration.Options, configuration.Values, findings);
        return configuration;
    }

    /// <summary>The file's tree, or null (and an error) where it cannot be read.</summary>
    private static YamlNode? Tree(string? file, Findings findings)
    {
        try
        {
            var root = YamlText.Parse(file is null ? BuiltInConfiguration.Yaml : System.IO.File.ReadAllText(file));
            return root.IsEmpty ? new YamlMappingNode() : root;
        }
        catch (YamlException e)
        {
            findings.Errors.Add($"{file}: line {e.Start.Line}, column {e.Start.Column}: {e.InnerException?.Message ?? e.Message}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            findings.Errors.Add($"{file}: {e.Message}");
        }
        return null;
    }
}
