namespace Mirror.Configuration.Reading;

/// <summary>What holds where there is no configuration file: a mirror of Docker Hub for this machine, kept in the current folder.</summary>
internal static class BuiltInConfiguration
{
    public const string Yaml = """
        version: 0.1
        storage:
          filesystem:
            rootdirectory: ./mirror-data
        http:
          addr: localhost:5000
        proxy:
          remoteurl: https://registry-1.docker.io
        """;
}
