namespace Mirror.Configuration;

/// <summary>Section <c>validation.manifests</c>.</summary>
public sealed class ManifestValidationOptions
{
    public UrlValidationOptions Urls { get; set; } = new();

    public IndexValidationOptions Indexes { get; set; } = new();
}
