namespace Mirror.Storage;

/// <summary>What is known of content before its bytes are read (OCI image-spec, "Content Descriptors").</summary>
/// <param name="MediaType">The type, without parameters.</param>
/// <param name="Size">Length in bytes.</param>
public readonly record struct Descriptor(string MediaType, Digest Digest, long Size);
