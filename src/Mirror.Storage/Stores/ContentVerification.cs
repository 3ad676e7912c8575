using System.Buffers;

namespace Mirror.Storage.Stores;

/// <summary>Reading stored content again, to see whether it still is what its digest names.</summary>
public static class ContentVerification
{
    private const int BufferSize = 1 << 20;

    extension(IContentStore store)
    {
        /// <summary>Hashes stored content; null where there is none.</summary>
        /// <exception cref="IOException">The store cannot be read.</exception>
        public async ValueTask<bool?> IsWholeAsync(Digest digest, CancellationToken cancellationToken)
        {
            await using var content = await store.OpenAsync(digest, cancellationToken);
            if (content is null)
                return null;
            using var hash = digest.NewHash();
            var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
            try
            {
                long offset = 0;
                while (await content.ReadAsync(offset, buffer, cancellationToken) is > 0 and var read)
                {
                    hash.AppendData(buffer, 0, read);
                    offset += read;
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
            return Digest.FromHash(digest.Algorithm, hash.GetCurrentHash()) == digest;
        }
    }
}
