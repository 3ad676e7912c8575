using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>Who may push where.</summary>
internal static class Ownership
{
    /// <summary>The answer to a push to a name that is mirrored.</summary>
    public static RegistryException Mirrored(RepositoryName name) =>
        new(RegistryError.Denied, $"'{name}' is mirrored, and therefore read-only; a pattern in hosted.repositories that matches it would let it be pushed to");
}
