using Mirror.Storage.Buckets;

namespace Mirror.Storage.Tests.Buckets;

/// <summary>A bucket whose dates are changed on their way from the store.</summary>
internal sealed class AgedBucket(IBucket bucket, Func<DateTimeOffset, DateTimeOffset> clock) : IBucket
{
    public string Name => bucket.Name;

    public IAsyncEnumerable<(IBucketUpload Upload, DateTimeOffset Begun)> ListUploadsAsync(
        string folder, CancellationToken cancellationToken) =>
        bucket.ListUploadsAsync(folder, cancellationToken).Select(found => (found.Upload, clock(found.Begun)));

    public IAsyncEnumerable<BucketObject> ListAsync(string prefix, int? max, CancellationToken cancellationToken) =>
        bucket.ListAsync(prefix, max, cancellationToken).Select(found => found with { Written = clock(found.Written) });

    public ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken) => bucket.SizeAsync(path, cancellationToken);

    public ValueTask<string?> ReadTextAsync(string path, CancellationToken cancellationToken) =>
        bucket.ReadTextAsync(path, cancellationToken);

    public ValueTask<Stream?> OpenAsync(string path, long from, long until, CancellationToken cancellationToken) =>
        bucket.OpenAsync(path, from, until, cancellationToken);

    public ValueTask<bool> PutAsync(string path, Func<Stream> open, long length, bool onlyIfAbsent, CancellationToken cancellationToken) =>
        bucket.PutAsync(path, open, length, onlyIfAbsent, cancellationToken);

    public ValueTask<IBucketUpload> BeginUploadAsync(string path, CancellationToken cancellationToken) =>
        bucket.BeginUploadAsync(path, cancellationToken);

    public ValueTask DeleteAsync(string path, CancellationToken cancellationToken) => bucket.DeleteAsync(path, cancellationToken);

    public ValueTask<List<string>> ListFoldersAsync(string folder, string prefix, CancellationToken cancellationToken) =>
        bucket.ListFoldersAsync(folder, prefix, cancellationToken);

    public ValueTask<Uri?> LocateAsync(string path, TimeSpan validity, CancellationToken cancellationToken) =>
        bucket.LocateAsync(path, validity, cancellationToken);

    public void Dispose() => bucket.Dispose();
}
