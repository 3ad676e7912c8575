using System.Text;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>The referrers of each subject, as small objects in the tree of <see cref="RegistryLayout"/>.</summary>
public sealed class BucketReferrerStore(IBucket bucket) : IReferrerStore
{
    public async ValueTask AddAsync(
        RepositoryName name, Digest subject, Digest referrer, ReadOnlyMemory<byte> descriptor, CancellationToken cancellationToken) =>
        await bucket.PutBytesAsync(
            RegistryLayout.Referrer(name, subject, referrer), descriptor.ToArray(), onlyIfAbsent: false, cancellationToken);

    public ValueTask<bool> RemoveAsync(RepositoryName name, Digest subject, Digest referrer, CancellationToken cancellationToken) =>
        bucket.TryDeleteAsync(RegistryLayout.Referrer(name, subject, referrer), cancellationToken);

    public async ValueTask<IReadOnlyList<Digest>> ListAsync(RepositoryName name, Digest subject, CancellationToken cancellationToken)
    {
        List<Digest> referrers = [];
        await foreach (var (path, _, _) in bucket.ListFolderAsync(RegistryLayout.Referrers(name, subject), cancellationToken))
            if (Digest.TryParse(path[(path.LastIndexOf('/') + 1)..].Replace('-', ':'), out var referrer))
                referrers.Add(referrer);
        return BucketCalls.Once(referrers);
    }

    public async ValueTask<byte[]?> ReadAsync(RepositoryName name, Digest subject, Digest referrer, CancellationToken cancellationToken) =>
        await bucket.ReadTextAsync(RegistryLayout.Referrer(name, subject, referrer), cancellationToken) is { } descriptor
            ? Encoding.UTF8.GetBytes(descriptor)
            : null;
}
