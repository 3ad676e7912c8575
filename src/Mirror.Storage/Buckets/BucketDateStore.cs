using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>Dates as small objects.</summary>
public sealed class BucketDateStore(IBucket bucket) : IDateStore
{
    public async ValueTask<DateTimeOffset?> ReadAsync(string path, CancellationToken cancellationToken) =>
        NotedDate.Parse(await bucket.ReadTextAsync(path, cancellationToken));

    public async ValueTask WriteAsync(string path, DateTimeOffset noted, CancellationToken cancellationToken) =>
        await bucket.PutBytesAsync(path, NotedDate.Bytes(noted), onlyIfAbsent: false, cancellationToken);

    public async ValueTask DeleteAsync(string path, CancellationToken cancellationToken) =>
        await bucket.DeleteAsync(path, cancellationToken);

    public IAsyncEnumerable<string> ListAsync(string folder, CancellationToken cancellationToken) =>
        bucket.ListFolderAsync(folder, cancellationToken).Select(date => date.Path);
}
