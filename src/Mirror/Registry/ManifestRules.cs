using System.Text.RegularExpressions;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>Which manifests may be pushed, and what they need: the rules of the protocol and of section <c>validation</c>.</summary>
public sealed class ManifestRules(ValidationOptions options)
{
    private readonly Regex[] _allowed = Patterns(options, options.Manifests.Urls.Allow);
    private readonly Regex[] _denied = Patterns(options, options.Manifests.Urls.Deny);
    private readonly RequiredPlatforms _platforms = options.Disabled ? RequiredPlatforms.None : options.Manifests.Indexes.Platforms;
    private readonly HashSet<ManifestPlatform> _listed =
        [.. options.Manifests.Indexes.PlatformList.Select(entry => new ManifestPlatform(entry.Os, entry.Architecture))];

    /// <summary>What the operator can do about an index whose platforms are missing: only this setting requires them.</summary>
    public const string PlatformsAdvice =
        "to take indexes without the manifests of their platforms, set validation.manifests.indexes.platforms to none";

    /// <summary>The media type of a pushed manifest, without parameters: the one in the request, or else the one in the manifest.</summary>
    /// <param name="contentType">The request's <c>Content-Type</c>; empty where there is none.</param>
    /// <exception cref="RegistryException">It is not the type of a manifest, or the two types or the content contradict each
    /// other.</exception>
    public static string TypeOf(string contentType, ManifestDocument document)
    {
        var type = MediaTypes.Of(contentType);
        if (type.Length == 0)
            type = document.Type ?? "";
        if (!MediaTypes.IsManifest(type))
            throw Invalid($"'{type}' is not the media type of a manifest that this registry stores");
        if (document.MediaType is { } own && own != type)
            throw Invalid($"the Content-Type is '{type}', but the manifest's mediaType is '{own}'");
        if (document.SchemaVersion is not (2 or null))
            throw Invalid($"its schemaVersion is {document.SchemaVersion}, not 2");
        if (MediaTypes.IsIndex(type) != document.IsIndex)
            throw Invalid($"the Content-Type is '{type}', but the manifest has {(document.IsIndex ? "" : "no ")}'manifests'");
        if (type is MediaTypes.OciManifest or MediaTypes.DockerManifest && !document.HasConfig)
            throw Invalid("it has no 'config'");
        return type;
    }

    /// <summary>The blobs that the repository must have before the manifest is stored.</summary>
    /// <exception cref="RegistryException">The manifest has a URL that the configuration does not allow.</exception>
    public IEnumerable<Digest> RequiredBlobs(ManifestDocument document)
    {
        foreach (var url in document.Blobs.SelectMany(blob => blob.Urls))
            if (_allowed.Length > 0 && !Array.Exists(_allowed, pattern => pattern.IsMatch(url))
                || Array.Exists(_denied, pattern => pattern.IsMatch(url)))
                throw new RegistryException(RegistryError.ManifestInvalid, $"the URL '{url}' is not allowed by validation.manifests.urls")
                {
                    Advice = "if manifests may have this URL, change validation.manifests.urls.allow or validation.manifests.urls.deny",
                };
        return document.Blobs.Where(blob => !blob.IsElsewhere).Select(blob => blob.Digest);
    }

    /// <summary>The children of an index that the repository must have first. By default none: an index may be incomplete.</summary>
    public IEnumerable<Digest> RequiredChildren(ManifestDocument document) => document.Manifests
        .Where(child => _platforms switch
        {
            RequiredPlatforms.All => true,
            RequiredPlatforms.List => child.Platform is { } platform && _listed.Contains(platform),
            _ => false,
        })
        .Select(child => child.Digest);

    private static RegistryException Invalid(string why) => new(RegistryError.ManifestInvalid, why);

    private static Regex[] Patterns(ValidationOptions options, string[] patterns) => options.Disabled
        ? []
        : [.. patterns.Select(pattern => new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant))];
}
