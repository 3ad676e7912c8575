using Mirror.Configuration;

namespace Mirror.Tests.Configuration;

/// <summary>Loads configurations from text, without the files and the environment of the machine.</summary>
internal static class ConfigurationText
{
    /// <summary>The shortest file without a mistake.</summary>
    public const string VersionLine = "version: 0.1\n";

    public static MirrorConfiguration Load(string yaml, params (string Name, string Value)[] environment)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, yaml);
            return MirrorConfiguration.Load(file, Environment(environment));
        }
        finally
        {
            File.Delete(file);
        }
    }

    public static MirrorConfiguration LoadNothing(params (string Name, string Value)[] environment) =>
        MirrorConfiguration.Load(null, Environment(environment));

    public static Dictionary<string, string> Environment(params (string Name, string Value)[] variables) =>
        variables.ToDictionary(variable => variable.Name, variable => variable.Value);
}
