using Mirror.Configuration.Reading;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration;

/// <summary>The configuration: the file, with the environment variables over it.</summary>
public sealed class MirrorConfiguration
{
    private MirrorConfiguration(string? file, IReadOnlyDictionary<string, string?> values, Findings findings)
    {
        File = file;
        Values = new ConfigurationBuilder().AddInMemoryCollection(values).Build();
        Options = new MirrorOptions();
        // A list that the user gives replaces the default, but the binder would append to it.
        if (Values.GetSection("hosted:repositories").Exists())
            Options.Hosted.Repositories = [];
        Values.Bind(Options);
        Errors = findings.Errors;
        Warnings = findings.Warnings;
    }

    /// <summary>The file that was read. Null: there is no file, and the built-in configuration is used.</summary>
    public string? File { get; }

    /// <summary>The settings. Values with <see cref="Errors"/> have their defaults.</summary>
    public MirrorOptions Options { get; }

    /// <summary>Every known key that the user gave, as the binder reads it: <c>proxy:tags_cache_ttl</c> is <c>00:10:00</c>.</summary>
    public IConfiguration Values { get; }

    /// <summary>The mistakes that prevent a start, one line each.</summary>
    public IReadOnlyList<string> Errors { get; }

    /// <summary>What is ignored, one line each.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>Reads the configuration. Mistakes are returned in <see cref="Errors"/>, never thrown.</summary>
    /// <param name="path">The file to read. Null: the file is searched for in the usual places.</param>
    /// <param name="environment">The environment of the process; only <c>REGISTRY_*</c> and the proxies are read.</param>
    public static MirrorConfiguration Load(string? path, IReadOnlyDictionary<string, string> environment) =>
        Load(path, environment, ConfigurationFile.UsualPaths);

    internal static MirrorConfiguration Load(
        string? path, IReadOnlyDictionary<string, string> environment, IReadOnlyList<string> usualPaths)
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
        findings.Warnings.AddRange(new EnvironmentProxy(environment).Warnings);
        return configuration;
    }

    /// <summary>The tree of the file, or null and an error if it cannot be read.</summary>
    private static YamlNode? Tree(string? file, Findings findings)
    {
        try
        {
            var root = YamlText.Parse(file is null ? ConfigurationFile.BuiltIn : System.IO.File.ReadAllText(file));
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
