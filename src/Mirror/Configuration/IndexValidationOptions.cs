namespace Mirror.Configuration;

/// <summary>Section <c>validation.manifests.indexes</c>: which children of a pushed index must be there already.</summary>
public sealed class IndexValidationOptions
{
    /// <summary>Default none, as the protocol wants it; <c>registry:3</c>'s is all.</summary>
    public RequiredPlatforms Platforms { get; set; }

    /// <summary>The platforms that <see cref="RequiredPlatforms.List"/> means. Default none.</summary>
    public PlatformOptions[] PlatformList { get; set; } = [];
}

/// <summary>Which children of an index must be there.</summary>
public enum RequiredPlatforms
{
    None,
    All,

    /// <summary>Those for the platforms in a list.</summary>
    List,
}
