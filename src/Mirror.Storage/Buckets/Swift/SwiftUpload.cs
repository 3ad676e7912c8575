namespace Mirror.Storage.Buckets.Swift;

/// <summary>A dynamic large object on its way: its segments, and at last the object that names them.</summary>
/// <param name="folder">The folder of the segments, below the root of the settings.</param>
internal sealed class SwiftUpload(SwiftBucket bucket, string path, string folder) : IBucketUpload
{
    private int _parts;
    private long _length;

    public async Task PutPartAsync(int number, Func<Stream> open, long length, CancellationToken cancellationToken)
    {
        await bucket.PutSegmentAsync(SwiftSegments.Name(folder, number), open, length, cancellationToken);
        Interlocked.Increment(ref _parts);
        Interlocked.Add(ref _length, length);
    }

    public ValueTask<bool> CompleteAsync(bool onlyIfAbsent, CancellationToken cancellationToken) =>
        bucket.PutManifestAsync(path, folder, _parts, _length, onlyIfAbsent, cancellationToken);

    public ValueTask AbortAsync(CancellationToken cancellationToken) => bucket.DeleteSegmentsAsync(folder, cancellationToken);
}
