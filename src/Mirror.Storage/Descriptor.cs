namespace Mirror.Storage;

/// <summary>Media type, digest and size of content, which a client knows before it reads the bytes (OCI image-spec, "Content
/// Descriptors").</summary>
/// <param name="MediaType">The type, without parameters.</param>
/// <param name="Size">The length in bytes.</param>
public readonly record struct Descriptor(string MediaType, Digest Digest, long Size);
