using System.Net;
using System.Runtime.CompilerServices;
using System.Text;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace Mirror.Storage.S3;

/// <summary>
/// The bucket, with paths instead of keys: every question is bounded in time, every way of getting no answer is a
/// <see cref="StoreUnavailableException"/>, and while the store is away that comes at once (<see cref="Breaker"/>).
/// </summary>
public sealed class S3Bucket : IDisposable
{
    // Large buckets are slow to list.
    private static readonly TimeSpan PageLimit = TimeSpan.FromSeconds(20);

    // Of a part, beside what its length takes.
    private static readonly TimeSpan PartLimit = TimeSpan.FromSeconds(30);

    // What says that we are not known, other than that we may not do this or that.
    private static readonly string[] UnknownToStore = ["ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired"];

    // Below this rate a link counts as dead.
    private const int SlowestBytesPerSecond = 64 * 1024;

    private readonly S3Options _options;
    private readonly AmazonS3Client _client;
    private readonly AmazonS3Client _public;
    private readonly TimeProvider _time;
    private readonly string _root;
    private readonly Breaker _breaker;
    private volatile bool _refusesConditions;
    private bool _connectionsAreSlow;

    /// <param name="time">The clock of time limits and presigned addresses.</param>
    public S3Bucket(S3Options options, TimeProvider time)
    {
        (_options, _time) = (options, time);
        _root = options.RootDirectory.Trim('/') is { Length: > 0 } root ? $"{root}/" : "";
        _client = S3Client.Create(options, options.RegionEndpoint);
        _breaker = new Breaker(time, async stop => _ = await PatientlyAsync(SmallLimit, token => _client.ListObjectsV2Async(PageRequest("", null, most: 1), token), stop));
        _public = options.RedirectEndpoint is { } other ? S3Client.Create(options, other) : _client;
    }

    internal S3Options Options => _options;

    /// <summary>The clock of this process. Ages in the bucket are told by the store's own.</summary>
    internal TimeProvider Time => _time;

    /// <summary>What <see cref="ReadAhead"/> has left of <see cref="ReadAhead.MostBuffers"/>.</summary>
    internal SemaphoreSlim ReadAheadBuffers { get; } = new(ReadAhead.MostBuffers);

    /// <summary>Whether a connection that was read lately was slower than its reader.</summary>
    internal bool ConnectionsAreSlow { get => Volatile.Read(ref _connectionsAreSlow); set => Volatile.Write(ref _connectionsAreSlow, value); }

    /// <summary>How long a small question and its repetitions may take.</summary>
    internal TimeSpan SmallLimit { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How this process reads the store's clock. Tests let time pass by it.</summary>
    internal Func<DateTimeOffset, DateTimeOffset> StoreClock { get; init; } = static told => told;

    /// <summary>What logs call it.</summary>
    public string Name => $"s3://{_options.Bucket}/{_root}";

    /// <summary>An object's length in bytes; null where there is none.</summary>
    internal async ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken) => await FindAsync(
        stop => _client.GetObjectMetadataAsync(new GetObjectMetadataRequest { BucketName = _options.Bucket, Key = _root + path }, stop), cancellationToken) is { } found
            ? found.ContentLength
            : null;

    /// <summary>A small object's text; null where there is none.</summary>
    internal ValueTask<string?> ReadTextAsync(string path, CancellationToken cancellationToken) => FindAsync(async stop =>
    {
        using var response = await _client.GetObjectAsync(new GetObjectRequest { BucketName = _options.Bucket, Key = _root + path }, stop);
        using var text = new StreamReader(response.ResponseStream, Encoding.UTF8);
        return await text.ReadToEndAsync(stop);
    }, cancellationToken);

    /// <summary>The bytes of an object, as a body that is still to be read; null where there is none.</summary>
    /// <param name="until">The byte behind the last one.</param>
    internal ValueTask<GetObjectResponse?> OpenAsync(string path, long from, long until, CancellationToken cancellationToken) => FindAsync(
        stop => _client.GetObjectAsync(
            new GetObjectRequest { BucketName = _options.Bucket, Key = _root + path, ByteRange = new ByteRange(from, until - 1) }, stop),
        cancellationToken);

    /// <summary>Writes an object whole.</summary>
    internal ValueTask PutTextAsync(string path, string text, CancellationToken cancellationToken) =>
        PutAsync(path, Encoding.UTF8.GetBytes(text), onlyNew: false, cancellationToken);

    /// <inheritdoc cref="PutAsync(string, Func{Stream}, long, bool, CancellationToken)"/>
    internal ValueTask PutAsync(string path, byte[] bytes, bool onlyNew, CancellationToken cancellationToken) =>
        PutAsync(path, () => new MemoryStream(bytes, writable: false), bytes.Length, onlyNew, cancellationToken);

    /// <summary>Writes an object whole.</summary>
    /// <param name="onlyNew">Leave one that is there as it is, where the store can promise that.</param>
    internal async ValueTask PutAsync(string path, Func<Stream> open, long length, bool onlyNew, CancellationToken cancellationToken) => _ = await OnlyNewAsync(path, length, onlyNew, condition =>
        AskAsync(LimitOf(length), async stop =>
        {
            await using var body = open();
            var request = new PutObjectRequest
            {
                BucketName = _options.Bucket,
                Key = _root + path,
                InputStream = body,
                AutoCloseStream = false,
                ContentType = MediaTypes.OctetStream,
                IfNoneMatch = condition,
                UseChunkEncoding = SendsChecksums,
                CannedACL = Acl,
            };
            if (Class is { } storageClass)
                request.StorageClass = storageClass;
            (request.ServerSideEncryptionMethod, request.ServerSideEncryptionKeyManagementServiceKeyId) = Encryption;
            return await _client.PutObjectAsync(request, stop);
        }, cancellationToken), cancellationToken);

    /// <summary>Begins an object that comes in parts; it is not there until <see cref="CompleteAsync"/>.</summary>
    internal async ValueTask<string> BeginAsync(string path, CancellationToken cancellationToken)
    {
        var request = new InitiateMultipartUploadRequest { BucketName = _options.Bucket, Key = _root + path, ContentType = MediaTypes.OctetStream, CannedACL = Acl };
        if (Class is { } storageClass)
            request.StorageClass = storageClass;
        (request.ServerSideEncryptionMethod, request.ServerSideEncryptionKeyManagementServiceKeyId) = Encryption;
        return (await AskAsync(SmallLimit, stop => _client.InitiateMultipartUploadAsync(request, stop), cancellationToken)).UploadId;
    }

    internal ValueTask<PartETag> PutPartAsync(string path, string upload, int number, Func<Stream> open, long length, CancellationToken cancellationToken) =>
        AskAsync(LimitOf(length), async stop =>
        {
            await using var body = open();
            var response = await _client.UploadPartAsync(new UploadPartRequest
            {
                BucketName = _options.Bucket,
                Key = _root + path,
                UploadId = upload,
                PartNumber = number,
                InputStream = body,
                PartSize = length,
                UseChunkEncoding = SendsChecksums,
            }, stop);
            return new PartETag(response);
        }, cancellationToken);

    /// <summary>Makes the object of its parts, atomically; false where another came first and the parts are still there.</summary>
    internal ValueTask<bool> CompleteAsync(string path, string upload, IEnumerable<PartETag> parts, long length, CancellationToken cancellationToken) => OnlyNewAsync(path, length, true, condition =>
        AskAsync(TimeSpan.FromMinutes(2), stop => _client.CompleteMultipartUploadAsync(new CompleteMultipartUploadRequest
        {
            BucketName = _options.Bucket,
            Key = _root + path,
            UploadId = upload,
            PartETags = [.. parts],
            IfNoneMatch = condition,
        }, stop), cancellationToken), cancellationToken);

    /// <summary>Forgets an upload and its parts.</summary>
    internal async ValueTask AbortAsync(string path, string upload, CancellationToken cancellationToken) => _ = await FindAsync(
        stop => _client.AbortMultipartUploadAsync(new AbortMultipartUploadRequest { BucketName = _options.Bucket, Key = _root + path, UploadId = upload }, stop),
        cancellationToken);

    /// <summary>The uploads below a folder that were begun before a moment.</summary>
    internal async IAsyncEnumerable<(string Path, string Upload)> ListUploadsAsync(
        string folder, DateTimeOffset before, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new ListMultipartUploadsRequest { BucketName = _options.Bucket, Prefix = $"{_root}{folder}/" };
        while (true)
        {
            var page = await AskAsync(PageLimit, stop => _client.ListMultipartUploadsAsync(request, stop), cancellationToken);
            foreach (var upload in page.MultipartUploads ?? [])
                if (upload.Initiated is { } initiated && StoreClock(initiated.ToUniversalTime()) < before)
                    yield return (upload.Key[_root.Length..], upload.UploadId);
            if (page.IsTruncated != true)
                yield break;
            (request.KeyMarker, request.UploadIdMarker) = (page.NextKeyMarker, page.NextUploadIdMarker);
        }
    }

    /// <summary>Removes an object, whether or not there is one.</summary>
    internal async ValueTask DeleteAsync(string path, CancellationToken cancellationToken) => _ = await FindAsync(
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
            throw Unavailable(failure);
        }
    }

    public void Dispose()
    {
        _breaker.Dispose();
        ReadAheadBuffers.Dispose();
        _public.Dispose();
        _client.Dispose();
    }

    private StoredObject Listed(S3Object found) =>
        new(found.Key[_root.Length..], StoreClock(found.LastModified?.ToUniversalTime() ?? DateTime.UnixEpoch), found.Size ?? 0);

    private bool SendsChecksums => _options.Checksums ?? _options.RegionEndpoint is null;

    private S3CannedACL? Acl => _options.ObjectAcl is "" or "private" ? null : new S3CannedACL(_options.ObjectAcl);

    private S3StorageClass? Class => _options.StorageClass is "" or "NONE" or "STANDARD" ? null : new S3StorageClass(_options.StorageClass);

    private (ServerSideEncryptionMethod?, string?) Encryption =>
        !_options.Encrypt ? default
        : _options.KeyId is { Length: > 0 } key ? (ServerSideEncryptionMethod.AWSKMS, key)
        : (ServerSideEncryptionMethod.AES256, null);

    private static TimeSpan LimitOf(long length) => PartLimit + TimeSpan.FromSeconds(length / SlowestBytesPerSecond);

    // Content that is there already is the content that was to be written, unless its length says that it is damaged. Stores that do not know the
    // condition say so once.
    private async ValueTask<bool> OnlyNewAsync<T>(string path, long length, bool onlyNew, Func<string?, ValueTask<T>> write, CancellationToken cancellationToken)
    {
        try
        {
            _ = await write(onlyNew && !_refusesConditions ? "*" : null);
            return true;
        }
        catch (StoreUnavailableException refused) when (onlyNew && refused.InnerException is AmazonS3Exception { StatusCode: HttpStatusCode.PreconditionFailed })
        {
            if (await SizeAsync(path, cancellationToken) == length)
                return false;
        }
        catch (StoreUnavailableException refused) when (onlyNew && !_refusesConditions && refused.InnerException is AmazonS3Exception answer
            && (answer.StatusCode is HttpStatusCode.NotImplemented or HttpStatusCode.Conflict || answer.ErrorCode is "InvalidArgument" or "InvalidRequest"))
        {
            _refusesConditions |= answer.StatusCode is not HttpStatusCode.Conflict;
        }
        _ = await write(null);
        return true;
    }

    private async IAsyncEnumerable<ListObjectsV2Response> PagesAsync(
        string prefix, string? delimiter, int? most, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = PageRequest(prefix, delimiter, most);
        while (true)
        {
            var page = await AskAsync(PageLimit, stop => _client.ListObjectsV2Async(request, stop), cancellationToken);
            yield return page;
            if (page.IsTruncated != true)
                yield break;
            request.ContinuationToken = page.NextContinuationToken;
        }
    }

    private ListObjectsV2Request PageRequest(string prefix, string? delimiter, int? most) =>
        new() { BucketName = _options.Bucket, Prefix = _root + prefix, Delimiter = delimiter, MaxKeys = most };

    private async ValueTask<T?> FindAsync<T>(Func<CancellationToken, Task<T>> ask, CancellationToken cancellationToken) where T : class
    {
        try
        {
            return await AskAsync(SmallLimit, ask, cancellationToken);
        }
        catch (StoreUnavailableException missing) when (missing.InnerException is AmazonS3Exception { StatusCode: HttpStatusCode.NotFound, ErrorCode: not "NoSuchBucket" })
        {
            return null;
        }
    }

    private async ValueTask<T> AskAsync<T>(TimeSpan limit, Func<CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
    {
        _breaker.ThrowIfAway();
        try
        {
            var answer = await PatientlyAsync(limit, ask, cancellationToken);
            _breaker.Succeeded();
            return answer;
        }
        catch (StoreUnavailableException failure)
        {
            if (failure.InnerException is AmazonServiceException { StatusCode: >= HttpStatusCode.BadRequest and < HttpStatusCode.InternalServerError } refusal
                && !UnknownToStore.Contains(refusal.ErrorCode))
                _breaker.Succeeded();
            else
                _breaker.Failed(failure);
            throw;
        }
    }

    private async ValueTask<T> PatientlyAsync<T>(TimeSpan limit, Func<CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(limit, _time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            return await ask(stop.Token);
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
        catch (OperationCanceledException slow)
        {
            throw new StoreUnavailableException($"{Name} did not answer within {limit.TotalSeconds:0} s.", slow);
        }
        catch (Exception failure) when (failure is AmazonServiceException or AmazonClientException or HttpRequestException or IOException and not StoreUnavailableException)
        {
            throw Unavailable(failure);
        }
    }

    private StoreUnavailableException Unavailable(Exception failure) => new(
        failure is AmazonServiceException { ErrorCode: { Length: > 0 } code } ? $"{Name} refused: {code}: {failure.Message}" : $"{Name} cannot be reached: {failure.Message}", failure);
}

/// <summary>An object of a bucket.</summary>
/// <param name="Written">When, by the store's clock. Objects that came in parts may have the time when that began.</param>
/// <param name="Size">In bytes.</param>
internal readonly record struct StoredObject(string Path, DateTimeOffset Written, long Size);
