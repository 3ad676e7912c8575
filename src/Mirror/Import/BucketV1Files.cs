using System.Runtime.CompilerServices;
using Mirror.Storage.Buckets;

namespace Mirror.Import;

/// <summary>A storage of docker-registry 0.x in a bucket.</summary>
/// <param name="bucket">Its root is the folder that has <c>images</c> and <c>repositories</c>.</param>
public sealed class BucketV1Files(IBucket bucket) : IV1Files
{
    public string Name => bucket.Name;

    public async IAsyncEnumerable<V1Tag> TagsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var ofNamespace in await bucket.ListFoldersAsync("repositories", "", cancellationToken))
            foreach (var name in await bucket.ListFoldersAsync($"repositories/{ofNamespace}", "", cancellationToken))
            {
                var prefix = $"repositories/{ofNamespace}/{name}/tag_";
                await foreach (var file in bucket.ListAsync(prefix, null, cancellationToken))
                    yield return new($"{ofNamespace}/{name}", file.Path[prefix.Length..]);
            }
    }

    public ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken) => bucket.SizeAsync(path, cancellationToken);

    public async ValueTask<Stream?> OpenAsync(string path, CancellationToken cancellationToken) =>
        await bucket.SizeAsync(path, cancellationToken) is { } size
            ? size == 0 ? Stream.Null : await bucket.OpenAsync(path, 0, size, cancellationToken)
            : null;
}
