using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Old;

/// <summary>A configuration of docker-registry 0.x, in today's words.</summary>
public sealed class OldConfiguration
{
    /// <summary>The flavor in use: the section of the file that <c>SETTINGS_FLAVOR</c> names.</summary>
    public required string Flavor { get; init; }

    /// <summary>Every key with a value, in the order of the file, and after them the variables of the process.</summary>
    public required IReadOnlyList<OldKey> Keys { get; init; }

    /// <summary>The file of today that means the same. Secrets stand in it as they are.</summary>
    public required string Translation { get; init; }

    /// <summary>What <c>GET /</c> answers.</summary>
    public required string Issue { get; init; }

    /// <summary>Whether <c>/v1/search</c> finds nothing, as without <c>search_backend</c>.</summary>
    public bool SearchesNothing { get; init; }

    /// <summary>Whether <c>/_ping</c> names the flavor.</summary>
    public bool IsDebug { get; init; }

    /// <summary>The settings of <see cref="Translation"/> for the reader of keys, which may change it.</summary>
    internal YamlMappingNode Today { get; init; } = [];
}
