using Mirror.Configuration.Reading;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration;

/// <summary>The configuration: the file, with the environment variables over it.</summary>
public sealed class MirrorConfiguration
{
    // Set by the image: what http.draintimeout is where no setting says it. A variable REGISTRY_... would override the user's file.
    private const string DrainVariable = "MIRROR_DEFAULT_DRAINTIMEOUT";

    private MirrorConfiguration(string? file, IReadOnlyDictionary<string, string?> values, Findings findings)
    {
        File = file;
        Values = new ConfigurationBuilder().AddInMemoryCollection(values).Build();
        Options = new MirrorOptions();
        // A list that the user gives replaces the default, but the binder would append to it.
        if (Values.GetSection("hosted:repositories").Exists())
            Options.Hosted.Repositories = [];
        if (Values.GetSection("http:trusted_proxies").Exists())
            Options.Http.TrustedProxies = [];
        Values.Bind(Options);
        if (Options is { Proxy.HasUpstream: true, KnowsClients: false } && !Values.GetSection("hosted:repositories").Exists())
            Options.Hosted.Repositories = [];
        Errors = findings.Errors;
        Warnings = findings.Warnings;
    }

    /// <summary>The file that was read. Null: none is named, and the built-in configuration is used.</summary>
    public string? File { get; }

    /// <summary>What log lines and errors call the configuration: its file.</summary>
    public string Source => File ?? "the built-in configuration (no file is named)";

    /// <summary>The settings. Values with <see cref="Errors"/> have their defaults.</summary>
    public MirrorOptions Options { get; }

    /// <summary>Every known key that the user gave, as the binder reads it: <c>proxy:tags_cache_ttl</c> is <c>00:10:00</c>.</summary>
    public IConfiguration Values { get; }

    /// <summary>The mistakes that prevent a start, one line each, without the name of the file.</summary>
    public IReadOnlyList<string> Errors { get; }

    /// <summary>What is ignored, one line each.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>Reads the configuration. Mistakes are returned in <see cref="Errors"/>, never thrown.</summary>
    /// <param name="path">The file to read. Null: the one that <c>REGISTRY_CONFIGURATION_PATH</c> names.</param>
    /// <param name="environment">The environment of the process; only <c>REGISTRY_*</c> and the proxies are read.</param>
    public static MirrorConfiguration Load(string? path, IReadOnlyDictionary<string, string> environment)
    {
        var findings = new Findings();
        var reader = new KeyReader(findings);
        var file = ConfigurationFile.Find(path, environment);
        if (Tree(file, findings) is { } root)
        {
            if (root is YamlMappingNode map)
                EnvironmentOverrides.Apply(map, environment, findings);
            reader.Read(root);
            if (ValueRules.Duration.Canonical(environment.GetValueOrDefault(DrainVariable, "")) is { } drain)
                reader.Values.TryAdd("http:draintimeout", drain);
        }
        var configuration = new MirrorConfiguration(file, reader.Values, findings);
        CrossKeyRules.Check(configuration.Options, configuration.Values, findings);
        findings.Warnings.AddRange(new EnvironmentProxy(environment).Warnings);
        return configuration;
    }

    /// <summary>The tree of the file, or null and an error if it cannot be read.</summary>
    private static YamlNode? Tree(string? file, Findings findings)
    {
        var text = "";
        try
        {
            text = file is null ? ConfigurationFile.BuiltIn : System.IO.File.ReadAllText(file);
            var root = YamlText.Parse(text, findings);
            return root.IsEmpty ? new YamlMappingNode() : root;
        }
        catch (YamlException e)
        {
            findings.Errors.Add(YamlText.TabIn(text, e) is { } line
                ? $"line {line}: it is indented with a tab, and YAML allows spaces only"
                : $"line {e.Start.Line}, column {e.Start.Column}: {e.InnerException?.Message ?? e.Message}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            findings.Errors.Add(FileMistake.Of(file!) ?? e.Message);
        }
        return null;
    }
}
