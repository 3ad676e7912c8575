using Mirror.Configuration.Old;

namespace Mirror.Configuration.Reading;

/// <summary>Which configuration file is read, and the configuration if none is named.</summary>
internal static class ConfigurationFile
{
    /// <summary>The variable that names the file if no argument does.</summary>
    public const string PathVariable = "REGISTRY_CONFIGURATION_PATH";

    /// <summary>The configuration if no file is named: a mirror of Docker Hub for this machine, kept in the current folder.</summary>
    public const string BuiltIn = """
        version: 0.1
        storage:
          filesystem:
            rootdirectory: ./mirror-data
        http:
          addr: localhost:5000
        proxy:
          remoteurl: https://registry-1.docker.io
        hosted:
          repositories: [local/**]
        """;

    /// <summary>
    /// The file that is named, or null: by the argument, else by <c>DOCKER_REGISTRY_CONFIG</c> (see <see cref="OldFile.Find"/>), else by
    /// <see cref="PathVariable"/>, which the image sets. No other file is looked for: the file of another program, such as Debian's
    /// docker-registry, must not be taken by chance. A named file is returned even if it does not exist: reading it reports the mistake.
    /// </summary>
    public static string? Find(string? argument, IReadOnlyDictionary<string, string> environment) =>
        !string.IsNullOrEmpty(argument) ? argument
        : OldFile.Find(environment) is { } old ? old
        : environment.GetValueOrDefault(PathVariable) is { Length: > 0 } path ? path
        : null;
}
