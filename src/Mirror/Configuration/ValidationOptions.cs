namespace Mirror.Configuration;

/// <summary>Section <c>validation</c>: checks of pushed manifests beyond those that the protocol requires.</summary>
public sealed class ValidationOptions
{
    /// <summary>Whether the rest of this section is ignored.</summary>
    public bool Disabled { get; set; }

    public ManifestValidationOptions Manifests { get; set; } = new();
}

/// <summary>Section <c>validation.manifests</c>.</summary>
public sealed class ManifestValidationOptions
{
    public UrlValidationOptions Urls { get; set; } = new();
    public IndexValidationOptions Indexes { get; set; } = new();
}

/// <summary>
/// Section <c>validation.manifests.urls</c>: the external URLs that a layer may name. If both lists are empty, every URL is accepted, as
/// the protocol wants it; <c>registry:3</c> refuses every URL then.
/// </summary>
public sealed class UrlValidationOptions
{
    /// <summary>Regular expressions; a URL must match one of them. Empty: every URL is allowed.</summary>
    public string[] Allow { get; set; } = [];

    /// <summary>Regular expressions; a URL must match none of them.</summary>
    public string[] Deny { get; set; } = [];
}

/// <summary>Section <c>validation.manifests.indexes</c>: the children of a pushed index that must be in the repository already.</summary>
public sealed class IndexValidationOptions
{
    /// <summary>The default is the protocol's; the default of <c>registry:3</c> is <see cref="RequiredPlatforms.All"/>.</summary>
    public RequiredPlatforms Platforms { get; set; } = RequiredPlatforms.None;

    /// <summary>The platforms of <see cref="RequiredPlatforms.List"/>.</summary>
    public PlatformOptions[] PlatformList { get; set; } = [];
}

/// <summary>Which children of a pushed index must be in the repository.</summary>
public enum RequiredPlatforms
{
    None,
    All,

    /// <summary>The children for the platforms of <see cref="IndexValidationOptions.PlatformList"/>.</summary>
    List,
}

/// <summary>An entry of <c>validation.manifests.indexes.platformlist</c>.</summary>
public sealed class PlatformOptions
{
    public string Architecture { get; set; } = "";

    public string Os { get; set; } = "";
}
