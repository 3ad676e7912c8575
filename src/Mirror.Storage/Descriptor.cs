namespace Mirror.Storage;

/// <summary>What a client knows of content before it reads the bytes (OCI image-spec, "Content Descriptors").</summary>
/// <param name="MediaType">The type, without parameters.</param>
/// <param name="Size">The length in bytes.</param>
public readonly record struct Descriptor(string MediaType, Digest Digest, long Size);
