using System.Reflection;

namespace Mirror.Telemetry;

/// <summary>Which program this is.</summary>
public static class Build
{
    /// <summary>The version of the program, such as <c>0.1.0</c>.</summary>
    public static string Version { get; } =
        typeof(Build).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
}
