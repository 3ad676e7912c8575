namespace Mirror.Storage;

/// <summary>A manifest's bytes, which are what its descriptor's digest names.</summary>
public sealed record Manifest(Descriptor Descriptor, ReadOnlyMemory<byte> Bytes)
{
    /// <summary>The longest manifest that is pulled, pushed or read, in bytes: 4 MiB, the limit of the common clients and registries.</summary>
    public const int MaxBytes = 4 << 20;
}
