using System.Text.RegularExpressions;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>What a pushed manifest must be, by the protocol and by the section <c>validation</c>, and what must be there before it.</summary>
public sealed class ManifestRules(ValidationOptions options)
{
    private readonly Regex[] _allowed = Patterns(options, options.Manifests.Urls.Allow);
    private readonly Regex[] _denied = Patterns(options, options.Manifests.Urls.Deny);
    private readonly RequiredPlatforms _platforms = options.Disabled ? RequiredPlatforms.None : options.Manifests.Indexes.Platforms;
    private readonly HashSet<ManifestPlatform> _listed = [.. options.Manifests.Indexes.PlatformList.Select(entry => new ManifestPlatform(entry.Os, entry.Architecture))];

    /// <summary>The type of a pushed manifest, without parameters: what the client says, or else what the manifest itself says.</summary>
    /// <param name="said">The request's <c>Content-Type</c>; empty where there is none.</param>
    /// <exception cref="RegistryException">It is not the type of a manifest, or the two contradict each other, or the content.</exception>
    public static string TypeOf(string said, ManifestDocument document)
    {
        var type = said.Split(';')[0].Trim();
        if (type.Length == 0)
            type = document.Type ?? "";
        if (!MediaTypes.IsManifest(type))
            throw Invalid($"'{type}' is not the media type of a manifest that can be kept here");
        if (document.MediaType is { } own && own != type)
            throw Invalid($"it came as '{type}' and says that it is '{own}'");
        if (document.SchemaVersion is not (2 or null))
            throw Invalid($"its schemaVersion is {document.SchemaVersion}, not 2");
        if (MediaTypes.IsIndex(type) != document.IsIndex)
            throw Invalid($"it came as '{type}' and has {(document.IsIndex ? "a list of manifests" : "none")}");
        if (type is MediaTypes.OciManifest or MediaTypes.DockerManifest && !document.HasConfig)
            throw Invalid("it has no 'config'");
        return type;
    }

    /// <summary>The blobs that must be in the repository.</summary>
    /// <exception cref="RegistryException">The manifest sends clients where the configuration does not want them.</exception>
    public IEnumerable<Digest> RequiredBlobs(ManifestDocument document)
    {
        foreach (var url in document.Blobs.SelectMany(blob => blob.Urls))
            if (_allowed.Length > 0 && !Array.Exists(_allowed, pattern => pattern.IsMatch(url)) || Array.Exists(_denied, pattern => pattern.IsMatch(url)))
                throw Invalid($"the URL '{url}' is not allowed by validation.manifests.urls");
        return document.Blobs.Where(blob => !blob.IsElsewhere).Select(blob => blob.Digest);
    }

    /// <summary>The children of an index that must be in the repository. By default none: an index may be pushed with a part of them.</summary>
    public IEnumerable<Digest> RequiredChildren(ManifestDocument document) => document.Manifests
        .Where(child => _platforms switch
        {
            RequiredPlatforms.All => true,
            RequiredPlatforms.List => child.Platform is { } platform && _listed.Contains(platform),
            _ => false,
        })
        .Select(child => child.Digest);

    private static RegistryException Invalid(string why) => new(RegistryError.ManifestInvalid, why);

    private static Regex[] Patterns(ValidationOptions options, string[] patterns) =>
        options.Disabled ? [] : [.. patterns.Select(pattern => new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant))];
}
