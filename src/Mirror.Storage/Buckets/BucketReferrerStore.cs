using System.Text;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>What refers to what, a small object each in the tree of <see cref="RegistryLayout"/>.</summary>
public sealed class BucketReferrerStore(S3Bucket bucket) : IReferrerStore
{
    public ValueTask AddAsync(RepositoryName name, Digest subject, Digest referrer, ReadOnlyMemory<byte> descriptor, CancellationToken cancellationToken) =>
        bucket.Writer.PutAsync(RegistryLayout.Referrer(name, subject, referrer), descriptor.ToArray(), onlyNew: false, cancellationToken);

    public async ValueTask<bool> RemoveAsync(RepositoryName name, Digest subject, Digest referrer, CancellationToken cancellationToken)
    {
        var path = RegistryLayout.Referrer(name, subject, referrer);
        if (await bucket.SizeAsync(path, cancellationToken) is null)
            return false;
        await bucket.DeleteAsync(path, cancellationToken);
        return true;
    }

    public async ValueTask<IReadOnlyList<Digest>> ListAsync(RepositoryName name, Digest subject, CancellationToken cancellationToken)
    {
        List<Digest> referrers = [];
        await foreach (var (path, _, _) in bucket.ListAsync(RegistryLayout.Referrers(name, subject), cancellationToken))
            if (Digest.TryParse(path[(path.LastIndexOf('/') + 1)..].Replace('-', ':'), out var referrer))
                referrers.Add(referrer);
        return referrers;
    }

    public async ValueTask<byte[]?> ReadAsync(RepositoryName name, Digest subject, Digest referrer, CancellationToken cancellationToken) =>
        await bucket.ReadTextAsync(RegistryLayout.Referrer(name, subject, referrer), cancellationToken) is { } descriptor ? Encoding.UTF8.GetBytes(descriptor) : null;
}
