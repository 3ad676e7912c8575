using Mirror.Configuration;

namespace Mirror.Tests.Configuration;

/// <summary>Loads configurations that a test writes out, away from the machine's own files and environment.</summary>
internal static class ConfigurationText
{
    /// <summary>The least that a file must say.</summary>
    public const string VersionLine = "version: 0.1\n";

    public static MirrorConfiguration Load(string yaml, params (string Name, string Value)[] environment)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, yaml);
            return MirrorConfiguration.Load(file, Environment(environment), []);
        }
        finally
        {
            File.Delete(file);
        }
    }

    public static MirrorConfiguration LoadNothing(params (string Name, string Value)[] environment) =>
        MirrorConfiguration.Load(null, Environment(environment), []);

    public static Dictionary<string, string> Environment(params (string Name, string Value)[] variables) =>
        variables.ToDictionary(variable => variable.Name, variable => variable.Value);
}
