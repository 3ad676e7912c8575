using System.Text;

namespace Mirror.Storage.Buckets;

/// <summary>Operations on a bucket that several stores in this folder need, made of calls of <see cref="IBucket"/>.</summary>
public static class BucketObjects
{
    private static readonly TimeSpan MaxClockDifference = TimeSpan.FromMinutes(1);

    extension(IBucket bucket)
    {
        /// <summary>Asks whether the store can be used at all with the address, bucket and credentials of the settings.</summary>
        /// <exception cref="StoreUnavailableException">It cannot; the message says why.</exception>
        public async ValueTask CheckAsync(CancellationToken cancellationToken)
        {
            await foreach (var _ in bucket.ListAsync("", 1, cancellationToken))
                return;
        }

        /// <summary>A sentence about the clocks of this machine and of the service; null while they agree, but for a minute.</summary>
        public string? ClockFault(DateTimeOffset now) => bucket.ClockAhead is var ahead && ahead.Duration() > MaxClockDifference
            ? $"the clock of the store {bucket.Name} says {now + ahead:u}, and the clock of this machine {now:u}: set the clock"
            : null;

        internal async ValueTask<bool> ExistsAsync(string path, CancellationToken cancellationToken) =>
            await bucket.SizeAsync(path, cancellationToken) is not null;

        /// <summary>An object as a list shows it; null if it does not exist. Lists give finer dates than other answers.</summary>
        internal async ValueTask<BucketObject?> FindAsync(string path, CancellationToken cancellationToken)
        {
            await foreach (var found in bucket.ListAsync(path, 1, cancellationToken))
                return found.Path == path ? found : null;
            return null;
        }

        internal async ValueTask<bool> IsEmptyAsync(string folder, CancellationToken cancellationToken)
        {
            await foreach (var _ in bucket.ListFolderAsync(folder, cancellationToken, max: 1))
                return false;
            return true;
        }

        /// <summary>The objects below a folder, at any depth.</summary>
        internal IAsyncEnumerable<BucketObject> ListFolderAsync(string folder, CancellationToken cancellationToken, int? max = null) =>
            bucket.ListAsync($"{folder}/", max, cancellationToken);

        /// <summary>Writes a small object, or replaces it.</summary>
        internal async ValueTask PutTextAsync(string path, string text, CancellationToken cancellationToken) =>
            await bucket.PutBytesAsync(path, Encoding.UTF8.GetBytes(text), onlyIfAbsent: false, cancellationToken);

        /// <summary>Writes a small object; see <see cref="IBucket.PutAsync"/>.</summary>
        internal ValueTask<bool> PutBytesAsync(string path, byte[] bytes, bool onlyIfAbsent, CancellationToken cancellationToken) =>
            bucket.PutAsync(path, () => new MemoryStream(bytes, writable: false), bytes.Length, onlyIfAbsent, cancellationToken);

        /// <summary>
        /// Writes content, whose bytes its path names: an object that exists is left as it is, unless its length shows that it is damaged.
        /// To compare the bytes would be to download the object.
        /// </summary>
        /// <param name="write">Writes the object, or only if it is absent; see <see cref="IBucket.PutAsync"/>.</param>
        /// <returns>False if an object was left as it is.</returns>
        internal async ValueTask<bool> PutContentAsync(
            string path, long length, Func<bool, ValueTask<bool>> write, CancellationToken cancellationToken) =>
            await write(true) || (await bucket.SizeAsync(path, cancellationToken) != length && await write(false));

        /// <summary>Writes small content, whose bytes its path names: an intact object is left as it is, a damaged one is
        /// replaced.</summary>
        internal async ValueTask PutContentAsync(string path, byte[] bytes, CancellationToken cancellationToken)
        {
            if (!await bucket.PutBytesAsync(path, bytes, onlyIfAbsent: true, cancellationToken)
                && !await bucket.HasAsync(path, bytes, cancellationToken))
                await bucket.PutBytesAsync(path, bytes, onlyIfAbsent: false, cancellationToken);
        }

        /// <summary>Whether an object has these bytes.</summary>
        public async ValueTask<bool> HasAsync(string path, byte[] bytes, CancellationToken cancellationToken)
        {
            if (await bucket.SizeAsync(path, cancellationToken) != bytes.Length)
                return false;
            if (bytes.Length == 0)
                return true;
            await using var body = await bucket.OpenAsync(path, 0, bytes.Length, cancellationToken);
            var stored = new byte[bytes.Length];
            return body is not null
                && await body.ReadAtLeastAsync(stored, stored.Length, throwOnEndOfStream: false, cancellationToken) == stored.Length
                && stored.AsSpan().SequenceEqual(bytes);
        }

        /// <summary>Deletes an object; false if it did not exist.</summary>
        internal async ValueTask<bool> TryDeleteAsync(string path, CancellationToken cancellationToken)
        {
            if (!await bucket.ExistsAsync(path, cancellationToken))
                return false;
            await bucket.DeleteAsync(path, cancellationToken);
            return true;
        }

        /// <summary>Deletes everything below a folder; false if there was nothing.</summary>
        /// <param name="link">The object that makes the folder count. A list may lack it for a moment after its write: radosgw answers a
        /// write before it brings its lists up to date.</param>
        internal async ValueTask<bool> DeleteFolderAsync(string folder, string link, CancellationToken cancellationToken)
        {
            List<string> paths = [];
            await foreach (var found in bucket.ListFolderAsync(folder, cancellationToken))
                paths.Add(found.Path);
            if (!paths.Contains(link) && await bucket.ExistsAsync(link, cancellationToken))
                paths.Add(link);
            await bucket.DeleteAsync(paths, cancellationToken);
            return paths.Count > 0;
        }
    }
}
