using System.Runtime.CompilerServices;
using System.Text;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets.Split;

/// <summary>
/// Two stores as one bucket. A service keeps the bytes of content. All else is in the bucket of names, where the path of a content has a
/// small object that says which object of the service it is. So content appears with that small object, under the conditions of that
/// bucket.
/// </summary>
public abstract class SplitBucket : IBucket
{
    private const int ReadAtOnce = 16;

    private readonly IBucket _names;
    private readonly IContentObjects _content;

    private protected SplitBucket(string service, IBucket names, IContentObjects content) =>
        (Name, _names, _content) = ($"{service}:{names.Name}", names, content);

    public string Name { get; }

    /// <summary>No: content and names are in two services.</summary>
    public bool HasOneClock => false;

    public TimeSpan ClockAhead => _names.ClockAhead;

    public ValueTask<string?> FindElsewhereAsync(CancellationToken cancellationToken) => _names.FindElsewhereAsync(cancellationToken);

    public async ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken) =>
        !IsContent(path) ? await _names.SizeAsync(path, cancellationToken)
        : await FindAsync(path, cancellationToken) is { } found ? await _content.SizeAsync(found, cancellationToken)
        : null;

    public async ValueTask<string?> ReadTextAsync(string path, CancellationToken cancellationToken)
    {
        if (!IsContent(path))
            return await _names.ReadTextAsync(path, cancellationToken);
        if (await SizeAsync(path, cancellationToken) is not { } length)
            return null;
        if (length == 0)
            return "";
        await using var body = await OpenAsync(path, 0, length, cancellationToken);
        return body is null ? null : await BucketText.ReadAsync(body, cancellationToken);
    }

    public async ValueTask<Stream?> OpenAsync(string path, long from, long until, CancellationToken cancellationToken) =>
        !IsContent(path) ? await _names.OpenAsync(path, from, until, cancellationToken)
        : await FindAsync(path, cancellationToken) is { } found ? await _content.OpenAsync(found.Id, from, until, cancellationToken)
        : null;

    public async ValueTask<bool> PutAsync(
        string path, Func<Stream> open, long length, bool onlyIfAbsent, CancellationToken cancellationToken)
    {
        if (!IsContent(path))
            return await _names.PutAsync(path, open, length, onlyIfAbsent, cancellationToken);
        var old = await FindAsync(path, cancellationToken);
        if (onlyIfAbsent && old is { } stored)
        {
            if (await _content.SizeAsync(stored, cancellationToken) is not null)
                return false;
            // Its object was deleted by another program.
            onlyIfAbsent = false;
        }
        var made = new ContentObject(await _content.StoreAsync(path, open, length, cancellationToken), length);
        // If this call fails, the object may exist nevertheless. So what was stored stays, and a sweep decides.
        if (await _names.PutBytesAsync(path, Encoding.UTF8.GetBytes(made.ToString()), onlyIfAbsent, cancellationToken)
            // A repeated request finds the object of the first one, whose answer was lost.
            || await FindAsync(path, cancellationToken) == made)
        {
            if (old is { } replaced)
                await DropAsync(replaced.Id, cancellationToken);
            return true;
        }
        await DropAsync(made.Id, cancellationToken);
        return false;
    }

    /// <summary>Not used: the services take content in one request, and their options set the length of parts for that.</summary>
    public ValueTask<IBucketUpload> BeginUploadAsync(string path, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <summary>The content that no name belongs to: of writes that did not end, and of content that was deleted.</summary>
    public async IAsyncEnumerable<(IBucketUpload Upload, DateTimeOffset Begun)> ListUploadsAsync(
        string folder, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // All of them first: some services list what follows an object only while that object exists.
        List<(Guid Id, string Path, DateTimeOffset Begun)> unnamed = [];
        await foreach (var found in _content.ListAsync(cancellationToken))
            if (found.Path.StartsWith($"{folder}/", StringComparison.Ordinal)
                && !await IsNamedAsync(found.Id, found.Path, cancellationToken))
                unnamed.Add(found);
        foreach (var (id, path, begun) in unnamed)
            yield return (new Unnamed(this, id, path), begun);
    }

    public async ValueTask DeleteAsync(string path, CancellationToken cancellationToken)
    {
        var content = IsContent(path) ? await FindAsync(path, cancellationToken) : null;
        await _names.DeleteAsync(path, cancellationToken);
        if (content is { } nameless)
            await DropAsync(nameless.Id, cancellationToken);
    }

    public async ValueTask DeleteAsync(IReadOnlyList<string> paths, CancellationToken cancellationToken)
    {
        await _names.DeleteAsync([.. paths.Where(path => !IsContent(path))], cancellationToken);
        foreach (var path in paths.Where(IsContent))
            await DeleteAsync(path, cancellationToken);
    }

    public async IAsyncEnumerable<BucketObject> ListAsync(
        string prefix, int? max, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // To list everything is how others find out whether a store can be used.
        if (prefix.Length == 0)
            await _content.CheckAsync(cancellationToken);
        await foreach (var some in _names.ListAsync(prefix, max, cancellationToken).Chunk(ReadAtOnce).WithCancellation(cancellationToken))
            foreach (var (found, size) in some.Zip(await Task.WhenAll(some.Select(SizeOfAsync))))
                if (size is { } length)
                    yield return found with { Size = length };

        async Task<long?> SizeOfAsync(BucketObject found) =>
            IsContent(found.Path) ? (await FindAsync(found.Path, cancellationToken))?.Length : found.Size;
    }

    public ValueTask<List<string>> ListFoldersAsync(string folder, string prefix, CancellationToken cancellationToken) =>
        _names.ListFoldersAsync(folder, prefix, cancellationToken);

    /// <summary>Null for content: the services of it give no addresses.</summary>
    public async ValueTask<Uri?> LocateAsync(string path, TimeSpan validity, CancellationToken cancellationToken) =>
        IsContent(path) ? null : await _names.LocateAsync(path, validity, cancellationToken);

    public void Dispose()
    {
        _names.Dispose();
        _content.Dispose();
        GC.SuppressFinalize(this);
    }

    private static bool IsContent(string path) => path.EndsWith("/data", StringComparison.Ordinal)
        && Digest.Algorithms.Any(algorithm => path.StartsWith($"{RegistryLayout.Blobs(algorithm)}/", StringComparison.Ordinal));

    private async ValueTask<ContentObject?> FindAsync(string path, CancellationToken cancellationToken) =>
        ContentObject.Parse(await _names.ReadTextAsync(path, cancellationToken));

    private async ValueTask<bool> IsNamedAsync(Guid id, string path, CancellationToken cancellationToken) =>
        IsContent(path) && (await FindAsync(path, cancellationToken))?.Id == id;

    // Content without a name. If the service does not delete it now, a sweep does.
    private async ValueTask DropAsync(Guid id, CancellationToken cancellationToken)
    {
        try
        {
            await _content.DeleteAsync(id, cancellationToken);
        }
        catch (StoreUnavailableException)
        {
            // See above.
        }
    }

    private sealed class Unnamed(SplitBucket bucket, Guid id, string path) : IBucketUpload
    {
        public Task PutPartAsync(int number, Func<Stream> open, long length, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public ValueTask<bool> CompleteAsync(bool onlyIfAbsent, CancellationToken cancellationToken) => throw new NotSupportedException();

        public async ValueTask AbortAsync(CancellationToken cancellationToken)
        {
            if (!await bucket.IsNamedAsync(id, path, cancellationToken))
                await bucket._content.DeleteAsync(id, cancellationToken);
        }
    }
}
