namespace Mirror.Tests.Peers;

/// <summary>The file podman and skopeo find mirrors in.</summary>
internal static class RegistriesConf
{
    internal static string With(string mirror) => $"""
        unqualified-search-registries = ["docker.io"]
        [[registry]]
        prefix = "docker.io"
        location = "docker.io"
        [[registry.mirror]]
        location = "{mirror}"
        insecure = true
        """;
}
