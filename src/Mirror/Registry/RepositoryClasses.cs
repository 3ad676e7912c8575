using Mirror.Access;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary><c>policy.repository.classes</c>: which classes of images may be pushed, here and with this login.</summary>
public sealed class RepositoryClasses(PolicyOptions options)
{
    private readonly string[] _classes = options.Repository.Classes;

    /// <summary>Lets a manifest through. An index has no class.</summary>
    /// <exception cref="RegistryException">Its class, or the class for this user, is not allowed.</exception>
    public void Require(ManifestDocument document, AccessUser? user, RepositoryName repository)
    {
        if (_classes.Length == 0 || document.Config is not { } config)
            return;
        var found = config.MediaType switch
        {
            "application/vnd.docker.container.image.v1+json" or "application/vnd.oci.image.config.v1+json" => "image",
            "application/vnd.docker.plugin.v1+json" => "plugin",
            _ => throw DeniedByPolicy($"policy.repository.classes is set, and '{config.MediaType}' is the config of no known class"),
        };
        if (!_classes.Contains(found))
            throw DeniedByPolicy($"policy.repository.classes does not allow the class '{found}'");
        if (user?.ClassesOf(repository)?.ToList() is { Count: > 0 } granted && !granted.Contains(found))
            throw new RegistryException(RegistryError.Denied, $"the token does not allow the class '{found}' in {repository}");
    }

    private static RegistryException DeniedByPolicy(string why) => new(RegistryError.Denied, why)
    {
        Advice = "if clients shall push such content, add its class to policy.repository.classes, or remove the setting",
    };
}
