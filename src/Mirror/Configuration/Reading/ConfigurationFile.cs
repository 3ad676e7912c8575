namespace Mirror.Configuration.Reading;

/// <summary>Finds the configuration file where the registry's users put it.</summary>
internal static class ConfigurationFile
{
    /// <summary>The variable that names the file where no argument does.</summary>
    public const string PathVariable = "REGISTRY_CONFIGURATION_PATH";

    /// <summary>Where the images of <c>registry:2</c> and <c>registry:3</c> keep theirs.</summary>
    public static readonly IReadOnlyList<string> UsualPaths = ["/etc/docker/registry/config.yml", "/etc/distribution/config.yml"];

    /// <summary>The file to read, or null where there is none. A file asked for by name is not checked to exist: its absence is an error.</summary>
    public static string? Find(string? argument, IReadOnlyDictionary<string, string> environment, IReadOnlyList<string> usualPaths)
    {
        if (!string.IsNullOrEmpty(argument))
            return argument;
        if (environment.TryGetValue(PathVariable, out var path) && path is not "")
            return path;
        return usualPaths.FirstOrDefault(File.Exists);
    }
}
