namespace Mirror.Storage.Buckets.Swift;

/// <summary>A dynamic large object on its way: its segments, and at last the object that names them.</summary>
/// <param name="folder">The folder of the segments, below the root of the settings.</param>
internal sealed class SwiftUpload(SwiftBucket bucket, string path, string folder) : IBucketUpload
{
    private int _parts;
    private long _length;
    // The object may have been made, although its request failed.
    private bool _isInDoubt;

    public async Task PutPartAsync(int number, Func<Stream> open, long length, CancellationToken cancellationToken)
    {
        await bucket.PutSegmentAsync(SwiftSegments.Name(folder, number), open, length, cancellationToken);
        Interlocked.Increment(ref _parts);
        Interlocked.Add(ref _length, length);
    }

    public async ValueTask<bool> CompleteAsync(bool onlyIfAbsent, CancellationToken cancellationToken)
    {
        _isInDoubt = true;
        var isMade = await bucket.PutManifestAsync(path, folder, _parts, _length, onlyIfAbsent, cancellationToken)
            // A repeated request finds the object of the first one, whose answer was lost.
            || await bucket.NamesAsync(path, folder, cancellationToken);
        _isInDoubt = false;
        return isMade;
    }

    /// <summary>Deletes the segments, unless the object that names them may exist. Then they are deleted a day later, if none names them.
    /// </summary>
    public async ValueTask AbortAsync(CancellationToken cancellationToken)
    {
        if (!_isInDoubt && !await bucket.NamesAsync(path, folder, cancellationToken))
            await bucket.DeleteSegmentsAsync(folder, cancellationToken);
    }
}
