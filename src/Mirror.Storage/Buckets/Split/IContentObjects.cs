namespace Mirror.Storage.Buckets.Split;

/// <summary>The half of a <see cref="SplitBucket"/> that keeps the bytes of content, each as one object with a UUID.</summary>
internal interface IContentObjects : IDisposable
{
    /// <exception cref="StoreUnavailableException">The service cannot be used with these settings; the message says why.</exception>
    ValueTask CheckAsync(CancellationToken cancellationToken);

    /// <summary>The length of stored content in bytes; null if it does not exist, or is not whole.</summary>
    ValueTask<long?> SizeAsync(ContentObject content, CancellationToken cancellationToken);

    /// <summary>A part of stored content; null if it does not exist. See <see cref="IBucket.OpenAsync"/>.</summary>
    ValueTask<Stream?> OpenAsync(Guid id, long from, long until, CancellationToken cancellationToken);

    /// <summary>Stores content, and checks that all of it was stored. If that fails, it is deleted, now or by a sweep.</summary>
    /// <param name="path">The path that the content is to get. It says to what a leftover belongs.</param>
    /// <param name="open">Opens the bytes, once for each attempt.</param>
    ValueTask<Guid> StoreAsync(string path, Func<Stream> open, long length, CancellationToken cancellationToken);

    /// <summary>Deletes content if it exists.</summary>
    ValueTask DeleteAsync(Guid id, CancellationToken cancellationToken);

    /// <summary>All content of this store, whole or not, with the path that it was stored for, and when that began.</summary>
    IAsyncEnumerable<(Guid Id, string Path, DateTimeOffset Begun)> ListAsync(CancellationToken cancellationToken);
}
