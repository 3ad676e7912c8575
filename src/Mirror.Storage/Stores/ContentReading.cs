using System.Buffers;

namespace Mirror.Storage.Stores;

/// <summary>Whether stored content is what its digest names.</summary>
public enum Verification
{
    /// <summary>Nothing is stored under the digest.</summary>
    Absent,

    /// <summary>The stored bytes are not those that the digest names.</summary>
    Damaged,

    /// <summary>The stored bytes are those that the digest names.</summary>
    Intact,
}

/// <summary>Reads stored content to its end and compares it with its digest.</summary>
public static class ContentReading
{
    private const int BufferSize = 1 << 20;

    extension(IContentStore store)
    {
        /// <summary>Hashes stored content of any length, and not a copy of it on a local disk.</summary>
        /// <exception cref="IOException">The store cannot be read.</exception>
        public async ValueTask<Verification> VerifyAsync(Digest digest, CancellationToken cancellationToken)
        {
            await using var content = await store.OpenStoredAsync(digest, cancellationToken);
            if (content is null)
                return Verification.Absent;
            using var hash = digest.NewHash();
            var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
            try
            {
                for (var offset = 0L; await content.ReadAsync(offset, buffer, cancellationToken) is > 0 and var read; offset += read)
                    hash.AppendData(buffer, 0, read);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
            return Digest.FromHash(digest.Algorithm, hash.GetCurrentHash()) == digest ? Verification.Intact : Verification.Damaged;
        }

        /// <summary>Reads small content, such as a manifest, into memory and verifies it.</summary>
        /// <param name="maxBytes">Longer content counts as absent.</param>
        /// <returns>The bytes where they are intact; otherwise null.</returns>
        /// <exception cref="IOException">The store cannot be read.</exception>
        public async ValueTask<(Verification State, byte[]? Bytes)> ReadAllAsync(
            Digest digest, int maxBytes, CancellationToken cancellationToken)
        {
            var opened = await store.OpenAsync(digest, cancellationToken);
            var read = await ReadAllAsync(opened, digest, maxBytes, cancellationToken);
            return read.State == Verification.Damaged
                ? await ReadAllAsync(await store.OpenStoredAsync(digest, cancellationToken), digest, maxBytes, cancellationToken)
                : read;
        }
    }

    private static async ValueTask<(Verification State, byte[]? Bytes)> ReadAllAsync(
        Content? opened, Digest digest, int maxBytes, CancellationToken cancellationToken)
    {
        await using var content = opened;
        if (content?.Length is not { } length || length > maxBytes)
            return (Verification.Absent, null);
        var bytes = new byte[length];
        var filled = 0;
        while (filled < bytes.Length && await content.ReadAsync(filled, bytes.AsMemory(filled), cancellationToken) is > 0 and var read)
            filled += read;
        return filled == bytes.Length && Digest.Of(bytes, digest.Algorithm) == digest
            ? (Verification.Intact, bytes)
            : (Verification.Damaged, null);
    }
}
