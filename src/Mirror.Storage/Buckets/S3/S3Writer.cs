using System.Net;
using System.Text;
using Amazon.S3;
using Amazon.S3.Model;

namespace Mirror.Storage.Buckets.S3;

/// <summary>What makes objects in a bucket, whole or in parts, with the class, encryption and access that the settings say.</summary>
/// <param name="root">What stands before every path.</param>
/// <param name="sizeOf">An object's length in bytes; null where there is none.</param>
internal sealed class S3Writer(S3Options options, AmazonS3Client client, string root, S3Calls questions, Func<string, CancellationToken, ValueTask<long?>> sizeOf)
{
    // Of a part, beside what its length takes.
    private static readonly TimeSpan PartLimit = TimeSpan.FromSeconds(30);

    // Below this rate a link counts as dead.
    private const int MinBytesPerSecond = 64 * 1024;

    private volatile bool _refusesConditions;

    /// <summary>Writes an object whole.</summary>
    public ValueTask PutTextAsync(string path, string text, CancellationToken cancellationToken) =>
        PutAsync(path, Encoding.UTF8.GetBytes(text), onlyNew: false, cancellationToken);

    /// <inheritdoc cref="PutAsync(string, Func{Stream}, long, bool, CancellationToken)"/>
    public ValueTask PutAsync(string path, byte[] bytes, bool onlyNew, CancellationToken cancellationToken) =>
        PutAsync(path, () => new MemoryStream(bytes, writable: false), bytes.Length, onlyNew, cancellationToken);

    /// <summary>Writes an object whole.</summary>
    /// <param name="onlyNew">Leave one that is there as it is, where the store can promise that.</param>
    public async ValueTask PutAsync(string path, Func<Stream> open, long length, bool onlyNew, CancellationToken cancellationToken) => _ = await OnlyNewAsync(path, length, onlyNew, condition =>
        questions.AskAsync(LimitOf(length), async stop =>
        {
            await using var body = open();
            var request = new PutObjectRequest
            {
                BucketName = options.Bucket,
                Key = root + path,
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
            return await client.PutObjectAsync(request, stop);
        }, cancellationToken), cancellationToken);

    /// <summary>Begins an object that comes in parts; it is not there until <see cref="CompleteAsync"/>.</summary>
    public async ValueTask<string> BeginAsync(string path, CancellationToken cancellationToken)
    {
        var request = new InitiateMultipartUploadRequest { BucketName = options.Bucket, Key = root + path, ContentType = MediaTypes.OctetStream, CannedACL = Acl };
        if (Class is { } storageClass)
            request.StorageClass = storageClass;
        (request.ServerSideEncryptionMethod, request.ServerSideEncryptionKeyManagementServiceKeyId) = Encryption;
        return (await questions.AskAsync(questions.SmallLimit, stop => client.InitiateMultipartUploadAsync(request, stop), cancellationToken)).UploadId;
    }

    public ValueTask<PartETag> PutPartAsync(string path, string upload, int number, Func<Stream> open, long length, CancellationToken cancellationToken) =>
        questions.AskAsync(LimitOf(length), async stop =>
        {
            await using var body = open();
            var response = await client.UploadPartAsync(new UploadPartRequest
            {
                BucketName = options.Bucket,
                Key = root + path,
                UploadId = upload,
                PartNumber = number,
                InputStream = body,
                PartSize = length,
                UseChunkEncoding = SendsChecksums,
            }, stop);
            return new PartETag(response);
        }, cancellationToken);

    /// <summary>Makes the object of its parts, atomically; false where another came first and the parts are still there.</summary>
    public ValueTask<bool> CompleteAsync(string path, string upload, IEnumerable<PartETag> parts, long length, CancellationToken cancellationToken) => OnlyNewAsync(path, length, true, condition =>
        questions.AskAsync(TimeSpan.FromMinutes(2), stop => client.CompleteMultipartUploadAsync(new CompleteMultipartUploadRequest
        {
            BucketName = options.Bucket,
            Key = root + path,
            UploadId = upload,
            PartETags = [.. parts],
            IfNoneMatch = condition,
        }, stop), cancellationToken), cancellationToken);

    /// <summary>Forgets an upload and its parts.</summary>
    public async ValueTask AbortAsync(string path, string upload, CancellationToken cancellationToken) => _ = await questions.FindAsync(
        stop => client.AbortMultipartUploadAsync(new AbortMultipartUploadRequest { BucketName = options.Bucket, Key = root + path, UploadId = upload }, stop),
        cancellationToken);

    private bool SendsChecksums => options.Checksums ?? options.RegionEndpoint is null;

    private S3CannedACL? Acl => options.ObjectAcl is "" or "private" ? null : new S3CannedACL(options.ObjectAcl);

    private S3StorageClass? Class => options.StorageClass is "" or "NONE" or "STANDARD" ? null : new S3StorageClass(options.StorageClass);

    private (ServerSideEncryptionMethod?, string?) Encryption =>
        !options.Encrypt ? default
        : options.KeyId is { Length: > 0 } key ? (ServerSideEncryptionMethod.AWSKMS, key)
        : (ServerSideEncryptionMethod.AES256, null);

    private static TimeSpan LimitOf(long length) => PartLimit + TimeSpan.FromSeconds(length / MinBytesPerSecond);

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
            if (await sizeOf(path, cancellationToken) == length)
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
}
