namespace Mirror.Storage.Buckets;

/// <summary>
/// The calls that an object store (S3, Azure Blob, Google Cloud Storage, Swift) must offer. All other code in this folder uses only these.
/// </summary>
/// <remarks>
/// <para>A path is what follows the root of the settings, with '/' between its parts. A bucket has no folders: a folder is what the paths
/// of its objects have in common.</para>
/// <para>Reads and lists must see every write that ended before they began. Each call limits its own time, and fails with
/// <see cref="StoreUnavailableException"/> if the store does not answer, refuses or has no room. <see cref="BucketCalls"/> does both.
/// An object that does not exist is null or nothing, never an exception.</para>
/// </remarks>
public interface IBucket : IDisposable
{
    /// <summary>The bucket's name in logs and messages, for example <c>s3://images/registry/</c>.</summary>
    string Name { get; }

    /// <summary>Whether one clock gives the dates of all objects. A service has several machines.</summary>
    bool HasOneClock => false;

    /// <summary>How far the clock of the service is ahead of this machine's, by the last answer of the service.</summary>
    TimeSpan ClockAhead => TimeSpan.Zero;

    /// <summary>
    /// A sentence about content that earlier versions stored with the same settings at another place; null if there is none, or if there is
    /// content at the place of now.
    /// </summary>
    ValueTask<string?> FindElsewhereAsync(CancellationToken cancellationToken) => ValueTask.FromResult<string?>(null);

    /// <summary>An object's length in bytes; null if it does not exist.</summary>
    ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken);

    /// <summary>The text of a small object; null if it does not exist.</summary>
    ValueTask<string?> ReadTextAsync(string path, CancellationToken cancellationToken);

    /// <summary>
    /// A part of an object as a stream; null if the object does not exist. The caller reads it as slowly as it likes and disposes it, also
    /// before its end. A read may throw any exception if the connection breaks.
    /// </summary>
    /// <param name="from">The offset of the first byte.</param>
    /// <param name="until">The offset after the last byte.</param>
    ValueTask<Stream?> OpenAsync(string path, long from, long until, CancellationToken cancellationToken);

    /// <summary>Writes a whole object. It appears with all its bytes, or not at all.</summary>
    /// <param name="open">Opens the bytes, once for each attempt.</param>
    /// <param name="length">How many bytes there are.</param>
    /// <param name="onlyIfAbsent">Leave an existing object as it is. A store without such a condition replaces the object.</param>
    /// <returns>False if an object existed and was left as it is.</returns>
    ValueTask<bool> PutAsync(string path, Func<Stream> open, long length, bool onlyIfAbsent, CancellationToken cancellationToken);

    /// <summary>Begins an object that is sent in parts.</summary>
    ValueTask<IBucketUpload> BeginUploadAsync(string path, CancellationToken cancellationToken);

    /// <summary>The uploads below a folder that are neither completed nor aborted, with the store's date of their beginning.</summary>
    IAsyncEnumerable<(IBucketUpload Upload, DateTimeOffset Begun)> ListUploadsAsync(string folder, CancellationToken cancellationToken);

    /// <summary>Deletes an object if it exists.</summary>
    ValueTask DeleteAsync(string path, CancellationToken cancellationToken);

    /// <summary>Deletes objects, several at once. A store that deletes many in one call can do better than this.</summary>
    async ValueTask DeleteAsync(IReadOnlyList<string> paths, CancellationToken cancellationToken) =>
        await Parallel.ForEachAsync(paths, cancellationToken, DeleteAsync);

    /// <summary>The objects whose paths start with a prefix, in ordinal order of their paths.</summary>
    /// <param name="max">How many of them at most; null for all.</param>
    IAsyncEnumerable<BucketObject> ListAsync(string prefix, int? max, CancellationToken cancellationToken);

    /// <summary>
    /// The names of the folders directly in a folder. Their order is ordinal with a '/' after each name: <c>a-b</c> comes before <c>a</c>.
    /// </summary>
    /// <param name="prefix">Only names that start with this.</param>
    ValueTask<List<string>> ListFoldersAsync(string folder, string prefix, CancellationToken cancellationToken);

    /// <summary>
    /// An address from which any client can read the object without credentials, for as long as it is valid. Null: the store, or its
    /// credentials, can give none.
    /// </summary>
    ValueTask<Uri?> LocateAsync(string path, TimeSpan validity, CancellationToken cancellationToken);
}

/// <summary>An object on its way into a bucket, in parts. Nothing appears under its path before <see cref="CompleteAsync"/>.</summary>
public interface IBucketUpload
{
    /// <summary>Sends a part. Parts may be sent at the same time and in any order.</summary>
    /// <param name="number">Its place: 1 for the first part.</param>
    /// <param name="open">Opens the bytes, once for each attempt.</param>
    /// <param name="length">How many bytes there are.</param>
    Task PutPartAsync(int number, Func<Stream> open, long length, CancellationToken cancellationToken);

    /// <summary>Makes the object of its parts, atomically.</summary>
    /// <param name="onlyIfAbsent">As for <see cref="IBucket.PutAsync"/>.</param>
    /// <returns>False if an object existed and was left as it is. The parts are then still there, to be completed or aborted.</returns>
    ValueTask<bool> CompleteAsync(bool onlyIfAbsent, CancellationToken cancellationToken);

    /// <summary>Deletes the parts.</summary>
    ValueTask AbortAsync(CancellationToken cancellationToken);
}

/// <summary>An object of a bucket, as a list shows it.</summary>
/// <param name="Written">The store's date of the write. If the object was sent in parts, it may be the date of the first part.</param>
/// <param name="Size">In bytes.</param>
public readonly record struct BucketObject(string Path, DateTimeOffset Written, long Size);
