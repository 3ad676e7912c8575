using System.Runtime.CompilerServices;
using Amazon.S3;
using Amazon.S3.Model;

namespace Mirror.Storage.Buckets.S3;

/// <summary>A bucket of Amazon S3, or of a store that speaks its protocol.</summary>
public sealed class S3Bucket : IBucket
{
    private readonly string _bucket;
    private readonly string _root;
    private readonly AmazonS3Client _client;
    private readonly AmazonS3Client _public;
    private readonly StoreClock _clock;
    private readonly S3Calls _calls;
    private readonly S3Writer _writer;

    /// <param name="time">The clock of time limits.</param>
    public S3Bucket(S3Options options, TimeProvider time)
    {
        (_bucket, _root, _clock) = (options.Bucket, options.Root, new(time));
        Name = options.ShownAs is { } shown ? $"{shown.TrimEnd('/')}/" : $"s3://{_bucket}/{_root}";
        _client = S3Client.Create(options, options.RegionEndpoint, _clock);
        _public = options.RedirectEndpoint is { } other ? S3Client.Create(options, other, _clock) : _client;
        _calls = new S3Calls(Name, _bucket, _root, _client, time);
        _writer = new S3Writer(options, _client, _calls);
    }

    public string Name { get; }

    public TimeSpan ClockAhead => _clock.Ahead;

    /// <summary>How long a small call and its repetitions may take.</summary>
    internal TimeSpan SmallLimit { init => _calls.SmallLimit = value; }

    public async ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken) =>
        (await _calls.GetOrNullInBucketAsync(stop => _calls.HeadAsync(_root + path, stop), cancellationToken))?.ContentLength;

    public ValueTask<string?> ReadTextAsync(string path, CancellationToken cancellationToken) => _calls.GetOrNullAsync(async stop =>
    {
        using var response = await _client.GetObjectAsync(new GetObjectRequest { BucketName = _bucket, Key = _root + path }, stop);
        return await BucketText.ReadAsync(response.ResponseStream, stop);
    }, cancellationToken);

    public async ValueTask<Stream?> OpenAsync(string path, long from, long until, CancellationToken cancellationToken)
    {
        var request = new GetObjectRequest { BucketName = _bucket, Key = _root + path, ByteRange = new ByteRange(from, until - 1) };
        if (await _calls.GetOrNullAsync(stop => _client.GetObjectAsync(request, stop), cancellationToken) is not { } response)
            return null;
        BucketHttp.RequireStart(response, Name + path, from, response.ContentRange);
        return response.ResponseStream;
    }

    public ValueTask<bool> PutAsync(string path, Func<Stream> open, long length, bool onlyIfAbsent, CancellationToken cancellationToken) =>
        _writer.PutAsync(_root + path, open, length, onlyIfAbsent, cancellationToken);

    public ValueTask<IBucketUpload> BeginUploadAsync(string path, CancellationToken cancellationToken) =>
        _writer.BeginUploadAsync(_root + path, cancellationToken);

    public async IAsyncEnumerable<(IBucketUpload Upload, DateTimeOffset Begun)> ListUploadsAsync(
        string folder, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new ListMultipartUploadsRequest { BucketName = _bucket, Prefix = $"{_root}{folder}/" };
        while (true)
        {
            var page = await _calls.InvokeAsync(
                BucketCalls.PageLimit, stop => _client.ListMultipartUploadsAsync(request, stop), cancellationToken);
            foreach (var upload in page.MultipartUploads ?? [])
                if (upload.Initiated is { } begun)
                    yield return (_writer.Upload(upload.Key, upload.UploadId), begun.ToUniversalTime());
            if (page.IsTruncated != true)
                yield break;
            _calls.Next(request.KeyMarker + request.UploadIdMarker, page.NextKeyMarker + page.NextUploadIdMarker);
            (request.KeyMarker, request.UploadIdMarker) = (page.NextKeyMarker, page.NextUploadIdMarker);
        }
    }

    // Deletes one object. A call that deletes many would need checksums, which not every store accepts.
    public async ValueTask DeleteAsync(string path, CancellationToken cancellationToken)
    {
        var request = new DeleteObjectRequest { BucketName = _bucket, Key = _root + path };
        await _calls.GetOrNullAsync(stop => _client.DeleteObjectAsync(request, stop), cancellationToken);
    }

    public async IAsyncEnumerable<BucketObject> ListAsync(
        string prefix, int? max, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var left = max ?? long.MaxValue;
        await foreach (var page in PagesAsync(prefix, delimiter: null, max, cancellationToken))
            foreach (var found in page.S3Objects ?? [])
            {
                yield return new(
                    prefix + _calls.After(_root + prefix, found.Key), found.LastModified?.ToUniversalTime() ?? DateTime.UnixEpoch,
                    found.Size ?? 0);
                if (--left == 0)
                    yield break;
            }
    }

    public async ValueTask<List<string>> ListFoldersAsync(string folder, string prefix, CancellationToken cancellationToken)
    {
        List<string> names = [];
        await foreach (var page in PagesAsync($"{folder}/{prefix}", "/", max: null, cancellationToken))
            names.AddRange((page.CommonPrefixes ?? []).Select(common => _calls.After($"{_root}{folder}/", common).TrimEnd('/')));
        return BucketCalls.Once(names);
    }

    public async ValueTask<Uri?> LocateAsync(string path, TimeSpan validity, CancellationToken cancellationToken)
    {
        var target = _public.Config;
        // The library corrects the date at which an address begins by the store's answers. It calls no address that is for clients only.
        if (_public != _client && !_clock.IsNear)
            return null;
        var plain = target.ServiceURL is { } url ? url.StartsWith("http:", StringComparison.OrdinalIgnoreCase) : target.UseHttp;
        try
        {
            return new Uri(await _public.GetPreSignedURLAsync(new GetPreSignedUrlRequest
            {
                BucketName = _bucket,
                Key = _root + path,
                Verb = HttpVerb.GET,
                Expires = _clock.Now.UtcDateTime + validity,
                Protocol = plain ? Protocol.HTTP : Protocol.HTTPS,
            }));
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            throw _calls.Unavailable(failure);
        }
    }

    public void Dispose()
    {
        _calls.Dispose();
        _public.Dispose();
        _client.Dispose();
    }

    private async IAsyncEnumerable<ListObjectsV2Response> PagesAsync(
        string prefix, string? delimiter, int? max, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new ListObjectsV2Request { BucketName = _bucket, Prefix = _root + prefix, Delimiter = delimiter, MaxKeys = max };
        while (true)
        {
            var page = await _calls.InvokeAsync(BucketCalls.PageLimit, stop => _calls.ListAsync(request, stop), cancellationToken);
            yield return page;
            if (page.IsTruncated != true)
                yield break;
            request.ContinuationToken = _calls.Next(request.ContinuationToken, page.NextContinuationToken);
        }
    }
}
