using Mirror.Configuration.Old;
using Mirror.Configuration.Reading;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration;

/// <summary>The configuration: the file, with the environment variables over it.</summary>
public sealed class MirrorConfiguration
{
    // Set by the image: what http.draintimeout is where no setting says it. A variable REGISTRY_... would override the user's file.
    private const string DrainVariable = "MIRROR_DEFAULT_DRAINTIMEOUT";

    private readonly IReadOnlyDictionary<string, string?> _values;
    private readonly IReadOnlySet<string> _texts;

    private MirrorConfiguration(
        string? file, IReadOnlyDictionary<string, string?> values, IReadOnlySet<string> texts,
        IReadOnlyDictionary<string, string> variables, OldConfiguration? old, Findings findings)
    {
        (File, _values, _texts, Variables, Old) = (file, values, texts, variables, old);
        Values = new ConfigurationBuilder().AddInMemoryCollection(values).Build();
        Options = new MirrorOptions();
        // A list that the user gives replaces the default, but the binder would append to it.
        if (Values.GetSection("hosted:repositories").Exists())
            Options.Hosted.Repositories = [];
        if (Values.GetSection("http:trusted_proxies").Exists())
            Options.Http.TrustedProxies = [];
        if (Values.GetSection("http:cors:methods").Exists())
            Options.Http.Cors.Methods = [];
        if (Values.GetSection("http:cors:headers").Exists())
            Options.Http.Cors.Headers = [];
        if (Values.GetSection("http:cors:expose_headers").Exists())
            Options.Http.Cors.ExposeHeaders = [];
        // It may have no keys, and then the binder sees no section.
        if (Values.GetSection("storage:inmemory").Exists())
            Options.Storage.InMemory = new();
        Values.Bind(Options);
        Options.Log.TextFields.UnionWith(Options.Log.Fields.Keys.Where(name => IsText($"log:fields:{name}")));
        if (Options is { Proxy.HasUpstream: true, KnowsClients: false } && !Values.GetSection("hosted:repositories").Exists())
            Options.Hosted.Repositories = [];
        Options.Ui.Enabled ??= old is null && (file is null || OwnKeys.AreIn(Values));
        RemoteUrls.WithoutVersion(Options.Proxy, findings);
        RemoteUrls.CheckOwn(Options, findings);
        PolicyPatterns.Complete(Options.Proxy, findings);
        CrossKeyRules.Check(Options, Values, findings);
        Errors = findings.Errors;
        Warnings = findings.Warnings;
    }

    /// <summary>The file that was read. Null: none is named, and the built-in configuration is used.</summary>
    public string? File { get; }

    /// <summary>The name of the configuration in log lines and errors: its file.</summary>
    public string Source => (File, Old) switch
    {
        (null, null) => "the built-in configuration (no file is named)",
        (null, { Flavor: var flavor }) => $"the sample of docker-registry 0.x, flavor {flavor} (no file is named)",
        (var file, null) => file,
        var (file, old) => $"{file}, flavor {old.Flavor} of docker-registry 0.x",
    };

    /// <summary>What the file of docker-registry 0.x says in today's words. Null: the file is one of today.</summary>
    public OldConfiguration? Old { get; }

    /// <summary>The keys that variables <c>REGISTRY_*</c> set, as <c>http.addr</c>, each with its variable. A section stands for all keys
    /// in it.</summary>
    public IReadOnlyDictionary<string, string> Variables { get; }

    /// <summary>The variable that set the key which a line of <see cref="Errors"/> is about; null where the file did.</summary>
    public string? VariableOf(string error) => VariableOfKey(error.Split(": ")[0]);

    /// <summary>The variable that set a key, such as <c>http.addr</c>, or a section around it; null where none did.</summary>
    public string? VariableOfKey(string key)
    {
        for (; key.Length > 0; key = key[..Math.Max(0, key.LastIndexOf('.'))])
            if (Variables.TryGetValue(key, out var variable))
                return variable;
        return null;
    }

    /// <summary>The settings. Values with <see cref="Errors"/> have their defaults.</summary>
    public MirrorOptions Options { get; }

    /// <summary>Every known key that the user gave, as the binder reads it: <c>proxy:tags_cache_ttl</c> is <c>00:10:00</c>.</summary>
    public IConfiguration Values { get; }

    /// <summary>Whether the file has the value at a path of <see cref="Values"/> in quotes, or says that it is text.</summary>
    public bool IsText(string path) => _texts.Contains(path);

    /// <summary>The mistakes that prevent a start, one line each, without the name of the file.</summary>
    public IReadOnlyList<string> Errors { get; }

    /// <summary>The keys and values that are ignored, one line each.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>Reads the configuration. Mistakes are returned in <see cref="Errors"/>, never thrown.</summary>
    /// <param name="path">The file to read. Null: the one that <c>REGISTRY_CONFIGURATION_PATH</c> names.</param>
    /// <param name="environment">The environment of the process; only <c>REGISTRY_*</c>, the proxies, and
    /// with docker-registry 0.x its variables are read.</param>
    public static MirrorConfiguration Load(string? path, IReadOnlyDictionary<string, string> environment)
    {
        var findings = new Findings();
        var reader = new KeyReader(findings);
        var file = ConfigurationFile.Find(path, environment);
        var root = Tree(file, environment, findings);
        var old = OldOf(ref root, file, environment, findings);
        IReadOnlyDictionary<string, string> variables = new Dictionary<string, string>();
        if (root is not null)
        {
            if (root is YamlMappingNode map)
                variables = EnvironmentOverrides.Apply(
                    map, environment, findings, isOverride: name => old is null || !OldProcess.Variables.Contains(name));
            reader.Read(root);
            if (DurationRules.Duration.Canonical(environment.GetValueOrDefault(DrainVariable, "")) is { } drain)
                reader.Values.TryAdd("http:draintimeout", drain);
        }
        var configuration = new MirrorConfiguration(file, reader.Values, reader.Texts, variables, old, findings);
        findings.Warnings.AddRange(new EnvironmentProxy(environment).Warnings);
        return configuration;
    }

    /// <summary>
    /// This configuration with those settings of <paramref name="next"/> that may change while the server runs. Together they may have
    /// errors that neither has alone.
    /// </summary>
    /// <param name="changed">The keys that got another value.</param>
    /// <param name="needRestart">The keys that have another value in <paramref name="next"/>, and take effect at the next start.</param>
    public MirrorConfiguration With(MirrorConfiguration next, out IReadOnlyList<string> changed, out IReadOnlyList<string> needRestart)
    {
        string[] differing =
        [
            .. _values.Keys.Union(next._values.Keys, StringComparer.OrdinalIgnoreCase).Order(StringComparer.OrdinalIgnoreCase)
                .Where(key => !_values.TryGetValue(key, out var now) || !next._values.TryGetValue(key, out var then) || now != then),
        ];
        var live = new LiveKeys(_values, next._values, differing);
        Dictionary<string, string?> values = new(_values, StringComparer.OrdinalIgnoreCase);
        foreach (var key in differing.Where(live.Contains))
            if (next._values.TryGetValue(key, out var value))
                values[key] = value;
            else
                values.Remove(key);
        changed = Shown(differing.Where(live.Contains));
        needRestart = Shown(differing.Where(key => !live.Contains(key)));
        return new MirrorConfiguration(File, values, _texts, next.Variables, Old, new Findings());

        static string[] Shown(IEnumerable<string> keys) => [.. keys.Select(key => key.Replace(':', '.'))];
    }

    /// <summary>Replaces a tree of docker-registry 0.x by one of today, or by null and an error.</summary>
    private static OldConfiguration? OldOf(
        ref YamlNode? root, string? file, IReadOnlyDictionary<string, string> environment, Findings findings)
    {
        var isFlavorNamed = OldFile.Value(environment, OldFile.FlavorVariable) is not null;
        var isNamedAsOld = isFlavorNamed || file is not null && file == OldFile.Find(environment);
        if (root is not YamlMappingNode flavors || !OldFile.Is(flavors, isNamedAsOld))
        {
            if (isFlavorNamed && root is not null)
                findings.Warnings.Add($"{OldFile.FlavorVariable} has no effect: the file is not one of docker-registry 0.x");
            return null;
        }
        var old = OldTranslation.Of(flavors, isSample: file is null, environment, findings);
        root = old?.Today;
        return old;
    }

    /// <summary>The tree of the file, or null and an error if it cannot be read.</summary>
    private static YamlNode? Tree(string? file, IReadOnlyDictionary<string, string> environment, Findings findings)
    {
        var text = "";
        try
        {
            text = file is not null ? System.IO.File.ReadAllText(file)
                : OldFile.Value(environment, OldFile.FlavorVariable) is null ? ConfigurationFile.BuiltIn
                : OldSample.Text;
            var root = YamlText.Parse(text, findings);
            return root.IsEmpty ? new YamlMappingNode() : root;
        }
        catch (YamlException e)
        {
            findings.Errors.Add(YamlText.Explain(text, e));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            findings.Errors.Add(FileMistake.Of(file!) ?? e.Message);
        }
        return null;
    }
}
