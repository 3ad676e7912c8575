using System.Runtime.CompilerServices;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>Pins as empty objects of a bucket.</summary>
public sealed class BucketPinStore(IBucket bucket) : IPinStore
{
    public ValueTask PinAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        bucket.PutTextAsync(RegistryLayout.Pin(name, tag), "", cancellationToken);

    public ValueTask<bool> UnpinAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        bucket.TryDeleteAsync(RegistryLayout.Pin(name, tag), cancellationToken);

    public ValueTask<bool> IsPinnedAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        bucket.ExistsAsync(RegistryLayout.Pin(name, tag), cancellationToken);

    public async IAsyncEnumerable<(RepositoryName Name, string Tag)> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var (path, _, _) in bucket.ListFolderAsync(RegistryLayout.Pins, cancellationToken))
            if (path.LastIndexOf('/') is var slash && slash > RegistryLayout.Pins.Length
                && RepositoryName.TryParse(path[(RegistryLayout.Pins.Length + 1)..slash], out var name)
                && RegistryLayout.PinnedTag(path[(slash + 1)..]) is { } tag)
                yield return (name, tag);
    }
}
