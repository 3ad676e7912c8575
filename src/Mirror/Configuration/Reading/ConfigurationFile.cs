namespace Mirror.Configuration.Reading;

/// <summary>Finds the configuration file in the places that users of <c>registry:2</c> and <c>registry:3</c> know.</summary>
internal static class ConfigurationFile
{
    /// <summary>The variable that names the file if no argument does.</summary>
    public const string PathVariable = "REGISTRY_CONFIGURATION_PATH";

    /// <summary>The configuration if there is no file: a mirror of Docker Hub for this machine, kept in the current folder.</summary>
    public const string BuiltIn = """
        version: 0.1
        storage:
          filesystem:
            rootdirectory: ./mirror-data
        http:
          addr: localhost:5000
        proxy:
          remoteurl: https://registry-1.docker.io
        """;

    /// <summary>The paths of the file in the images of <c>registry:2</c> and <c>registry:3</c>.</summary>
    public static readonly IReadOnlyList<string> UsualPaths = ["/etc/docker/registry/config.yml", "/etc/distribution/config.yml"];

    /// <summary>
    /// The file to read, or null if there is none. A file that the argument or the variable names is returned even if it does not exist:
    /// reading it then reports the mistake.
    /// </summary>
    public static string? Find(string? argument, IReadOnlyDictionary<string, string> environment, IReadOnlyList<string> usualPaths)
    {
        if (!string.IsNullOrEmpty(argument))
            return argument;
        if (environment.TryGetValue(PathVariable, out var path) && path is not "")
            return path;
        return usualPaths.FirstOrDefault(File.Exists);
    }
}
