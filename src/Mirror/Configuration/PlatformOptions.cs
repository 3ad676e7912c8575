namespace Mirror.Configuration;

/// <summary>An entry of <c>validation.manifests.indexes.platformlist</c>.</summary>
public sealed class PlatformOptions
{
    public string Architecture { get; set; } = "";

    public string Os { get; set; } = "";
}
