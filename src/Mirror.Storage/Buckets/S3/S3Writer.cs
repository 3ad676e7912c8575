using System.Collections.Concurrent;
using System.Net;
using Amazon.S3;
using Amazon.S3.Model;

namespace Mirror.Storage.Buckets.S3;

/// <summary>Writes objects, whole or in parts, with the storage class, encryption and access of the settings.</summary>
internal sealed class S3Writer(S3Options options, AmazonS3Client client, S3Calls calls)
{
    private volatile bool _refusesConditions;

    /// <inheritdoc cref="IBucket.PutAsync"/>
    public ValueTask<bool> PutAsync(string key, Func<Stream> open, long length, bool onlyIfAbsent, CancellationToken cancellationToken) =>
        IfAbsentAsync(onlyIfAbsent, condition => calls.InvokeAsync(BucketCalls.LimitFor(length), async stop =>
        {
            await using var body = open();
            var request = new PutObjectRequest
            {
                BucketName = options.Bucket,
                Key = key,
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
            var answer = await client.PutObjectAsync(request, stop);
            return await ConfirmedAsync(answer.ETag, key, length, stop);
        }, cancellationToken));

    /// <inheritdoc cref="IBucket.BeginUploadAsync"/>
    public async ValueTask<IBucketUpload> BeginUploadAsync(string key, CancellationToken cancellationToken)
    {
        var request = new InitiateMultipartUploadRequest
        {
            BucketName = options.Bucket,
            Key = key,
            ContentType = MediaTypes.OctetStream,
            CannedACL = Acl,
        };
        if (Class is { } storageClass)
            request.StorageClass = storageClass;
        (request.ServerSideEncryptionMethod, request.ServerSideEncryptionKeyManagementServiceKeyId) = Encryption;
        var response = await calls.InvokeAsync(
            calls.SmallLimit, stop => client.InitiateMultipartUploadAsync(request, stop), cancellationToken);
        return Upload(key, response.UploadId);
    }

    /// <summary>An upload that was begun, by this process or another one.</summary>
    public IBucketUpload Upload(string key, string id) => new Multipart(this, client, calls, options.Bucket, key, id);

    private bool SendsChecksums => options.Checksums ?? options.RegionEndpoint is null;

    private S3CannedACL? Acl => options.ObjectAcl is "" or "private" ? null : new S3CannedACL(options.ObjectAcl);

    private S3StorageClass? Class => options.StorageClass is "" or "NONE" or "STANDARD" ? null : new S3StorageClass(options.StorageClass);

    private (ServerSideEncryptionMethod?, string?) Encryption =>
        !options.Encrypt ? default
        : options.KeyId is { Length: > 0 } key ? (ServerSideEncryptionMethod.AWSKMS, key)
        : (ServerSideEncryptionMethod.AES256, null);

    // A store confirms with an ETag that it has stored an object. A success without one may come from something in front of the store.
    private async Task<bool> ConfirmedAsync(string? tag, string key, long length, CancellationToken stop) =>
        tag is { Length: > 0 } || (await calls.HeadAsync(key, stop))?.ContentLength == length ? true : throw calls.NotConfirmed(key);

    // Writes with the condition that no such object exists. A store that does not know the condition gets it only once.
    private async ValueTask<bool> IfAbsentAsync<T>(bool onlyIfAbsent, Func<string?, ValueTask<T>> write)
    {
        if (onlyIfAbsent && !_refusesConditions)
            try
            {
                await write("*");
                return true;
            }
            catch (StoreUnavailableException refused) when (refused.InnerException is AmazonS3Exception answer)
            {
                if (answer.StatusCode is HttpStatusCode.PreconditionFailed)
                    return false;
                var unknown = answer.StatusCode is HttpStatusCode.NotImplemented
                    || answer.ErrorCode is "InvalidArgument" or "InvalidRequest";
                // Conflict: another client writes the same object at this moment.
                if (!unknown && answer.StatusCode is not HttpStatusCode.Conflict)
                    throw;
                _refusesConditions |= unknown;
            }
        await write(null);
        return true;
    }

    private sealed class Multipart(S3Writer writer, AmazonS3Client client, S3Calls calls, string bucket, string key, string id)
        : IBucketUpload
    {
        private readonly ConcurrentBag<PartETag> _parts = [];
        private long _length;

        public async Task PutPartAsync(int number, Func<Stream> open, long length, CancellationToken cancellationToken)
        {
            _parts.Add(await calls.InvokeAsync(BucketCalls.LimitFor(length), async stop =>
            {
                await using var body = open();
                return new PartETag(await client.UploadPartAsync(new UploadPartRequest
                {
                    BucketName = bucket,
                    Key = key,
                    UploadId = id,
                    PartNumber = number,
                    InputStream = body,
                    PartSize = length,
                    UseChunkEncoding = writer.SendsChecksums,
                }, stop));
            }, cancellationToken));
            Interlocked.Add(ref _length, length);
        }

        public ValueTask<bool> CompleteAsync(bool onlyIfAbsent, CancellationToken cancellationToken) =>
            writer.IfAbsentAsync(onlyIfAbsent, condition => calls.InvokeAsync(BucketCalls.CompletionLimit, async stop =>
            {
                try
                {
                    var answer = await client.CompleteMultipartUploadAsync(new CompleteMultipartUploadRequest
                    {
                        BucketName = bucket,
                        Key = key,
                        UploadId = id,
                        PartETags = [.. _parts.OrderBy(part => part.PartNumber)],
                        IfNoneMatch = condition,
                    }, stop);
                    return await writer.ConfirmedAsync(answer.ETag, key, _length, stop);
                }
                // An earlier attempt completed it, and its answer was lost.
                catch (AmazonS3Exception gone) when (gone.StatusCode == HttpStatusCode.NotFound)
                {
                    if ((await calls.HeadAsync(key, stop))?.ContentLength == _length)
                        return true;
                    throw;
                }
            }, cancellationToken));

        public async ValueTask AbortAsync(CancellationToken cancellationToken)
        {
            var request = new AbortMultipartUploadRequest { BucketName = bucket, Key = key, UploadId = id };
            try
            {
                await calls.InvokeAsync(calls.SmallLimit, stop => client.AbortMultipartUploadAsync(request, stop), cancellationToken);
            }
            catch (StoreUnavailableException gone) when (gone.InnerException is AmazonS3Exception { ErrorCode: "NoSuchUpload" })
            {
                // Another process has aborted it.
            }
        }
    }
}
