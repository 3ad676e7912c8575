using System.Text.Json;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Storage;

namespace Mirror.Repositories;

/// <summary>
/// How long content is, as the manifests say that were read lately. A hint and no more: anybody can write a manifest, so what contradicts it is
/// looked at closely, and never refused for its sake.
/// </summary>
public sealed class ExpectedSizes : IDisposable
{
    private const int MaxSizes = 30_000;
    // Images have at most 127 layers, and an index a few dozen images.
    private const int MaxOfOneManifest = 1_000;
    private const int MaxDescriptor = 8;

    private readonly MemoryCache _sizes = new(new MemoryCacheOptions { SizeLimit = MaxSizes });

    /// <summary>The length in bytes; null where no manifest said it.</summary>
    public long? this[Digest digest] => _sizes.TryGetValue(digest, out Size? size) ? size!.Bytes : null;

    /// <summary>Takes in what a manifest says of the content it names.</summary>
    public void Learn(ReadOnlySpan<byte> manifest)
    {
        Span<long> sizes = stackalloc long[MaxDescriptor];
        var digests = new Digest?[MaxDescriptor];
        var learnt = 0;
        try
        {
            var json = new Utf8JsonReader(manifest);
            while (learnt < MaxOfOneManifest && json.Read())
            {
                if (json.CurrentDepth >= MaxDescriptor)
                    continue;
                var depth = json.CurrentDepth;
                if (json.TokenType == JsonTokenType.StartObject)
                    (sizes[depth], digests[depth]) = (-1, null);
                else if (json.TokenType == JsonTokenType.PropertyName && json.ValueTextEquals("size"u8))
                {
                    if (json.Read() && json.TokenType == JsonTokenType.Number && json.TryGetInt64(out var size))
                        sizes[depth - 1] = size;
                }
                else if (json.TokenType == JsonTokenType.PropertyName && json.ValueTextEquals("digest"u8))
                {
                    if (json.Read() && json.TokenType == JsonTokenType.String && Digest.TryParse(json.GetString(), out var digest))
                        digests[depth - 1] = digest;
                }
                else if (json.TokenType == JsonTokenType.EndObject && digests[depth] is { } named && sizes[depth] >= 0)
                {
                    learnt++;
                    Claim(named, sizes[depth]);
                }
            }
        }
        catch (Exception odd) when (odd is JsonException or InvalidOperationException)
        {
            // What was understood before is as good as ever.
        }
    }

    /// <summary>Content of this length was hashed and is right: what manifests say from now on does not matter.</summary>
    public void MarkVerified(Digest digest, long size) => Set(digest, new Size(size, IsVerified: true));

    public void Dispose() => _sizes.Dispose();

    private void Claim(Digest digest, long size)
    {
        if (!_sizes.TryGetValue(digest, out Size? known) || !known!.IsVerified && known.Bytes != size)
            Set(digest, new Size(size, IsVerified: false));
    }

    private void Set(Digest digest, Size size) => _sizes.Set(digest, size, new MemoryCacheEntryOptions { Size = 1 });

    private sealed record Size(long Bytes, bool IsVerified);
}
