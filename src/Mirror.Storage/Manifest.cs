namespace Mirror.Storage;

/// <summary>
/// A manifest with its descriptor, whose digest is the digest of these bytes; of Docker's schema 1, of these bytes without their
/// signatures.
/// </summary>
public sealed record Manifest(Descriptor Descriptor, ReadOnlyMemory<byte> Bytes)
{
    /// <summary>The longest manifest that is pulled, pushed or read, in bytes: 4 MiB, as common clients and registries allow.</summary>
    public const int MaxBytes = 4 << 20;
}
