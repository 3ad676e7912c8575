namespace Mirror.Tests.Peers;

/// <summary>The file podman and skopeo find mirrors in.</summary>
internal static class RegistriesConf
{
    internal static string With(string mirror, string registry = "docker.io") => $"""
        unqualified-search-registries = ["docker.io"]
        [[registry]]
        prefix = "{registry}"
        location = "{registry}"
        [[registry.mirror]]
        location = "{mirror}"
        insecure = true
        """;
}
