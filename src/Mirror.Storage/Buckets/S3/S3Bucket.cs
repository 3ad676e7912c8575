using System.Runtime.CompilerServices;
using System.Text;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace Mirror.Storage.Buckets.S3;

/// <summary>
/// The bucket, with paths instead of keys: every question is bounded in time, every way of getting no answer is a
/// <see cref="StoreUnavailableException"/>, and while the store is away that comes at once (<see cref="Breaker"/>).
/// </summary>
public sealed class S3Bucket : IDisposable
{
    // Large buckets are slow to list.
    private static readonly TimeSpan PageLimit = TimeSpan.FromSeconds(20);

    private readonly S3Options _options;
    private readonly AmazonS3Client _client;
    private readonly AmazonS3Client _public;
    private readonly TimeProvider _time;
    private readonly string _root;
    private readonly S3Calls _questions;
    private bool _connectionsAreSlow;

    /// <param name="time">The clock of time limits and presigned addresses.</param>
    public S3Bucket(S3Options options, TimeProvider time)
    {
        (_options, _time) = (options, time);
        _root = options.RootDirectory.Trim('/') is { Length: > 0 } root ? $"{root}/" : "";
        _client = S3Client.Create(options, options.RegionEndpoint);
        _questions = new S3Calls(Name, time, stop => _client.ListObjectsV2Async(PageRequest("", null, most: 1), stop));
        Writer = new S3Writer(options, _client, _root, _questions, SizeAsync);
        _public = options.RedirectEndpoint is { } other ? S3Client.Create(options, other) : _client;
    }

    internal S3Options Options => _options;

    /// <summary>The clock of this process. AgeHistogram in the bucket are told by the store's own.</summary>
    internal TimeProvider Time => _time;

    /// <summary>What <see cref="ReadAhead"/> has left of <see cref="ReadAhead.MaxBuffers"/>.</summary>
    internal SemaphoreSlim ReadAheadBuffers { get; } = new(ReadAhead.MaxBuffers);

    /// <summary>Whether a connection that was read lately was slower than its reader.</summary>
    internal bool ConnectionsAreSlow { get => Volatile.Read(ref _connectionsAreSlow); set => Volatile.Write(ref _connectionsAreSlow, value); }

    /// <summary>How long a small question and its repetitions may take.</summary>
    internal TimeSpan SmallLimit { get => _questions.SmallLimit; init => _questions.SmallLimit = value; }

    /// <summary>How this process reads the store's clock. Tests let time pass by it.</summary>
    internal Func<DateTimeOffset, DateTimeOffset> StoreClock { get; init; } = static told => told;

    /// <summary>What makes objects.</summary>
    internal S3Writer Writer { get; }

    /// <summary>What logs call it.</summary>
    public string Name => $"s3://{_options.Bucket}/{_root}";

    /// <summary>An object's length in bytes; null where there is none.</summary>
    internal async ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken) => await _questions.FindAsync(
        stop => _client.GetObjectMetadataAsync(new GetObjectMetadataRequest { BucketName = _options.Bucket, Key = _root + path }, stop), cancellationToken) is { } found
            ? found.ContentLength
            : null;

    /// <summary>A small object's text; null where there is none.</summary>
    internal ValueTask<string?> ReadTextAsync(string path, CancellationToken cancellationToken) => _questions.FindAsync(async stop =>
    {
        using var response = await _client.GetObjectAsync(new GetObjectRequest { BucketName = _options.Bucket, Key = _root + path }, stop);
        using var text = new StreamReader(response.ResponseStream, Encoding.UTF8);
        return await text.ReadToEndAsync(stop);
    }, cancellationToken);

    /// <summary>The bytes of an object, as a body that is still to be read; null where there is none.</summary>
    /// <param name="until">The byte behind the last one.</param>
    internal ValueTask<GetObjectResponse?> OpenAsync(string path, long from, long until, CancellationToken cancellationToken) => _questions.FindAsync(
        stop => _client.GetObjectAsync(
            new GetObjectRequest { BucketName = _options.Bucket, Key = _root + path, ByteRange = new ByteRange(from, until - 1) }, stop),
        cancellationToken);

    /// <summary>The uploads below a folder that were begun before a moment.</summary>
    internal async IAsyncEnumerable<(string Path, string Upload)> ListUploadsAsync(
        string folder, DateTimeOffset before, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new ListMultipartUploadsRequest { BucketName = _options.Bucket, Prefix = $"{_root}{folder}/" };
        while (true)
        {
            var page = await _questions.AskAsync(PageLimit, stop => _client.ListMultipartUploadsAsync(request, stop), cancellationToken);
            foreach (var upload in page.MultipartUploads ?? [])
                if (upload.Initiated is { } initiated && StoreClock(initiated.ToUniversalTime()) < before)
                    yield return (upload.Key[_root.Length..], upload.UploadId);
            if (page.IsTruncated != true)
                yield break;
            (request.KeyMarker, request.UploadIdMarker) = (page.NextKeyMarker, page.NextUploadIdMarker);
        }
    }

    /// <summary>Removes an object, whether or not there is one.</summary>
    internal async ValueTask DeleteAsync(string path, CancellationToken cancellationToken) => _ = await _questions.FindAsync(
        stop => _client.DeleteObjectAsync(new DeleteObjectRequest { BucketName = _options.Bucket, Key = _root + path }, stop), cancellationToken);

    /// <summary>Removes everything below a folder; false where there was nothing.</summary>
    internal async ValueTask<bool> DeleteFolderAsync(string folder, CancellationToken cancellationToken)
    {
        List<string> paths = [];
        await foreach (var (path, _, _) in ListAsync(folder, cancellationToken))
            paths.Add(path);
        // Each by itself: removing many in one request takes checksums that not every store accepts.
        await Parallel.ForEachAsync(paths, cancellationToken, DeleteAsync);
        return paths.Count > 0;
    }

    /// <summary>Every object below a folder, in the order of their paths, a page at a time.</summary>
    internal async IAsyncEnumerable<StoredObject> ListAsync(string folder, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var page in PagesAsync($"{folder}/", delimiter: null, most: null, cancellationToken))
            foreach (var found in page.S3Objects ?? [])
                yield return Listed(found);
    }

    /// <summary>An object as a list shows it; null where there is none. Lists tell its age more finely than other answers do.</summary>
    internal async ValueTask<StoredObject?> FindAsync(string path, CancellationToken cancellationToken)
    {
        await foreach (var page in PagesAsync(path, delimiter: null, most: 1, cancellationToken))
            return page.S3Objects is [var found] && found.Key == _root + path ? Listed(found) : null;
        return null;
    }

    /// <summary>The names of the folders directly in a folder, each ended by '/', in their order.</summary>
    /// <param name="startingWith">Only those whose names start so.</param>
    internal async ValueTask<List<string>> FoldersAsync(string folder, string startingWith, CancellationToken cancellationToken)
    {
        List<string> names = [];
        await foreach (var page in PagesAsync($"{folder}/{startingWith}", "/", most: null, cancellationToken))
            names.AddRange((page.CommonPrefixes ?? []).Select(prefix => prefix[(_root.Length + folder.Length + 1)..]));
        return names;
    }

    /// <summary>Whether there is nothing below a folder.</summary>
    internal async ValueTask<bool> IsEmptyAsync(string folder, CancellationToken cancellationToken)
    {
        await foreach (var page in PagesAsync($"{folder}/", delimiter: null, most: 1, cancellationToken))
            return page.S3Objects is not { Count: > 0 };
        return true;
    }

    /// <summary>Asks the store whether it can be used at all, with the address, bucket and credentials of the settings.</summary>
    /// <exception cref="StoreUnavailableException">It cannot, and why.</exception>
    public async ValueTask CheckAsync(CancellationToken cancellationToken)
    {
        await foreach (var _ in PagesAsync("", delimiter: null, most: 1, cancellationToken))
            return;
    }

    /// <summary>An address that gives an object to whoever knows it.</summary>
    internal async ValueTask<Uri> PresignAsync(string path, TimeSpan valid)
    {
        var target = _public.Config;
        var plain = target.ServiceURL is { } url ? url.StartsWith("http:", StringComparison.OrdinalIgnoreCase) : target.UseHttp;
        try
        {
            return new Uri(await _public.GetPreSignedURLAsync(new GetPreSignedUrlRequest
            {
                BucketName = _options.Bucket,
                Key = _root + path,
                Verb = HttpVerb.GET,
                Expires = _time.GetUtcNow().UtcDateTime + valid,
                Protocol = plain ? Protocol.HTTP : Protocol.HTTPS,
            }));
        }
        catch (Exception failure) when (failure is AmazonClientException or HttpRequestException)
        {
            throw _questions.Unavailable(failure);
        }
    }

    public void Dispose()
    {
        _questions.Dispose();
        ReadAheadBuffers.Dispose();
        _public.Dispose();
        _client.Dispose();
    }

    private StoredObject Listed(S3Object found) =>
        new(found.Key[_root.Length..], StoreClock(found.LastModified?.ToUniversalTime() ?? DateTime.UnixEpoch), found.Size ?? 0);

    private async IAsyncEnumerable<ListObjectsV2Response> PagesAsync(
        string prefix, string? delimiter, int? most, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = PageRequest(prefix, delimiter, most);
        while (true)
        {
            var page = await _questions.AskAsync(PageLimit, stop => _client.ListObjectsV2Async(request, stop), cancellationToken);
            yield return page;
            if (page.IsTruncated != true)
                yield break;
            request.ContinuationToken = page.NextContinuationToken;
        }
    }

    private ListObjectsV2Request PageRequest(string prefix, string? delimiter, int? most) =>
        new() { BucketName = _options.Bucket, Prefix = _root + prefix, Delimiter = delimiter, MaxKeys = most };
}

/// <summary>An object of a bucket.</summary>
/// <param name="Written">When, by the store's clock. Objects that came in parts may have the time when that began.</param>
/// <param name="Size">In bytes.</param>
internal readonly record struct StoredObject(string Path, DateTimeOffset Written, long Size);
