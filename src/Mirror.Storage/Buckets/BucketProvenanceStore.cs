using System.Runtime.CompilerServices;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>The provenance records of a bucket, as empty objects.</summary>
public sealed class BucketProvenanceStore(IBucket bucket) : IProvenanceStore
{
    public ValueTask MarkAsync(RepositoryName name, Digest digest, Provenance provenance, CancellationToken cancellationToken) =>
        bucket.PutTextAsync(RegistryLayout.Mark(name, digest, provenance), "", cancellationToken);

    public async ValueTask<Provenance?> FindAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken) =>
        await bucket.ExistsAsync(RegistryLayout.Mark(name, digest, Provenance.Pushed), cancellationToken) ? Provenance.Pushed
        : await bucket.ExistsAsync(RegistryLayout.Mark(name, digest, Provenance.Copied), cancellationToken) ? Provenance.Copied
        : null;

    public ValueTask ForgetAsync(RepositoryName name, Digest digest, Provenance provenance, CancellationToken cancellationToken) =>
        bucket.DeleteAsync(RegistryLayout.Mark(name, digest, provenance), cancellationToken);

    public async IAsyncEnumerable<Digest> ListAsync(
        RepositoryName name, Provenance provenance, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // One list has the digests of all algorithms: only their folders begin with '_'.
        await foreach (var (path, _, _) in bucket.ListAsync($"{RegistryLayout.Marks(provenance)}/{name}/_", null, cancellationToken))
            if (path.Split('/') is [.., var algorithm, var hex] && Digest.TryParse($"{algorithm[1..]}:{hex}", out var digest))
                yield return digest;
    }

    public async IAsyncEnumerable<RepositoryName> ListPushedAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Stack<string> folders = new([RegistryLayout.Pushed]);
        while (folders.TryPop(out var folder))
        {
            var children = await bucket.ListFoldersAsync(folder, "", cancellationToken);
            foreach (var child in children.Where(child => !child.StartsWith('_')))
                folders.Push($"{folder}/{child}");
            // A folder of a bucket is never empty, so the repository has a record.
            if (children.Exists(child => child.StartsWith('_')) && folder != RegistryLayout.Pushed
                && RepositoryName.TryParse(folder[(RegistryLayout.Pushed.Length + 1)..], out var name))
                yield return name;
        }
    }

    public async ValueTask<byte[]?> ReadScheduleAsync(int maxBytes, CancellationToken cancellationToken)
    {
        if (await bucket.SizeAsync(RegistryLayout.Schedule, cancellationToken) is not { } size || size > maxBytes
            || await bucket.OpenAsync(RegistryLayout.Schedule, 0, size, cancellationToken) is not { } stream)
            return null;
        await using (stream)
        {
            var bytes = new byte[size];
            return await stream.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellationToken) == size ? bytes : null;
        }
    }

    public async ValueTask WriteScheduleAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        await bucket.PutBytesAsync(RegistryLayout.Schedule, bytes.ToArray(), onlyIfAbsent: false, cancellationToken);
}
