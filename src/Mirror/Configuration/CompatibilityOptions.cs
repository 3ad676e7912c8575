namespace Mirror.Configuration;

/// <summary>Section <c>compatibility</c>.</summary>
public sealed class CompatibilityOptions
{
    public Schema1Options Schema1 { get; set; } = new();
}

/// <summary>Section <c>compatibility.schema1</c>: manifests of Docker's schema 1. Stored ones are served, whatever it says.</summary>
public sealed class Schema1Options
{
    /// <summary>Whether clients may push them, and whether old clients get them instead of newer manifests.</summary>
    public bool Enabled { get; set; }

    /// <summary>A file with the private key that signs them: PEM, or JSON in the form of a JWK. Null: a new key at each start.</summary>
    public string? SigningKeyFile { get; set; }
}
