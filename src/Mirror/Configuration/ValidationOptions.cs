namespace Mirror.Configuration;

/// <summary>Section <c>validation</c>: what a pushed manifest must be beyond what the protocol asks.</summary>
public sealed class ValidationOptions
{
    /// <summary>Whether nothing in this section holds. Default false.</summary>
    public bool Disabled { get; set; }

    public ManifestValidationOptions Manifests { get; set; } = new();
}
