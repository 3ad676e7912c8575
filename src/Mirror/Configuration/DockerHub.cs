namespace Mirror.Configuration;

/// <summary>The names of Docker Hub, and the address where it speaks the registry protocol.</summary>
public static class DockerHub
{
    private static readonly HashSet<string> Names = new(StringComparer.OrdinalIgnoreCase)
    {
        Name, "index.docker.io", "registry-1.docker.io", "registry.docker.io", "registry.hub.docker.com", "hub.docker.com",
    };

    /// <summary>The name that clients have for Docker Hub.</summary>
    public const string Name = "docker.io";

    /// <summary>The address that speaks the registry protocol.</summary>
    public static Uri Registry { get; } = new("https://registry-1.docker.io");

    /// <summary>Whether a client that names this registry means Docker Hub.</summary>
    public static bool IsName(string registry) => Names.Contains(registry);

    /// <summary>A repository's name without one of Docker Hub's names before it; null where there is none.</summary>
    public static string? Without(string repository) =>
        repository.IndexOf('/', StringComparison.Ordinal) is > 0 and var slash && Names.Contains(repository[..slash])
            ? repository[(slash + 1)..]
            : null;

    /// <summary>Whether <paramref name="url"/> means Docker Hub under any of its names.</summary>
    public static bool Is(Uri url) => url.IsDefaultPort && Names.Contains(url.Host);
}
