using System.Net;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace Mirror.Storage.Buckets.S3;

/// <summary>Translates the exceptions of AWS's library.</summary>
/// <param name="root">Where all keys begin. Credentials may be limited to it.</param>
internal sealed class S3Calls(string name, string bucket, string root, AmazonS3Client client, TimeProvider time) : BucketCalls(name, time)
{
    // Errors that say that the store does not accept our credentials at all.
    private static readonly string[] BadCredentials =
        ["ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired"];

    // What Amazon, MinIO and others answer to a write for which there is no room, with one status or another.
    private static readonly string[] Full =
        ["InsufficientCapacity", "InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"];

    protected override CallFailure KindOf(Exception failure) => failure switch
    {
        AmazonServiceException full when full.StatusCode is HttpStatusCode.InsufficientStorage || Full.Contains(full.ErrorCode) =>
            CallFailure.Full,
        // Without this code a 404 is not about the object, or it comes from something in front of the store.
        AmazonS3Exception { StatusCode: HttpStatusCode.NotFound, ErrorCode: "NoSuchKey" } => CallFailure.Missing,
        AmazonServiceException { StatusCode: >= HttpStatusCode.BadRequest and < HttpStatusCode.InternalServerError } refusal
            when !BadCredentials.Contains(refusal.ErrorCode) => CallFailure.Refused,
        _ => CallFailure.Away,
    };

    protected override string Describe(Exception failure) => failure switch
    {
        AmazonServiceException { ErrorCode: { Length: > 0 } code } =>
            $"refused: {code}: {failure.Message}{Advice(IsElsewhere(failure) ? "PermanentRedirect" : code)}",
        // The library looks for them in many places, and lists all of these.
        AmazonClientException
            when failure.Message.Contains("credentials", StringComparison.OrdinalIgnoreCase) =>
            "cannot be logged in to: the environment, the files of AWS and the role of this machine have no credentials: set accesskey "
                + "and secretkey, or give the machine a role",
        // What the library throws for a redirect that it does not follow.
        ArgumentException or UriFormatException when failure.Message.Contains("URI", StringComparison.Ordinal) =>
            $"leads to another address: see what is in front of the store, or change the address ({failure.Reason})",
        _ => Unreached(failure),
    };

    // Aliyun answers AccessDenied for a bucket of another region, and says so in words only.
    private static bool IsElsewhere(Exception failure) =>
        failure.Message.Contains("must be addressed using the specified endpoint", StringComparison.OrdinalIgnoreCase);

    // For such an address the store takes the bucket's name in the path for a key, or for a part of one.
    private bool IsBucketInHost => Uri.TryCreate(client.Config.ServiceURL, UriKind.Absolute, out var url)
        && url.Host.StartsWith($"{bucket}.", StringComparison.OrdinalIgnoreCase);

    private string Advice(string code) => code switch
    {
        "NoSuchBucket" or "NoSuchKey" when IsBucketInHost =>
            "; the host of the endpoint begins with the bucket's name: give the host without it",
        "NoSuchBucket" => "; there is no such bucket: create it, or change bucket",
        "InvalidAccessKeyId" => "; the store does not know the access key",
        "SignatureDoesNotMatch" => "; the secret key is not that of the access key",
        "ExpiredToken" or "InvalidToken" or "TokenRefreshRequired" => "; the credentials are over: renew them",
        "RequestTimeTooSkewed" => "; the clock of this machine and that of the store differ: set the clock",
        "AccessDenied" or "Forbidden" => "; the account may not do this: give it the right, or use another one",
        _ when Full.Contains(code) => "; the store has no room, or a quota is used up: make room, or raise the quota",
        "AuthorizationHeaderMalformed" or "PermanentRedirect" or "IllegalLocationConstraintException" =>
            "; the bucket is in another region: change region",
        _ => "",
    };

    /// <summary>A page of a list.</summary>
    public async Task<ListObjectsV2Response> ListAsync(ListObjectsV2Request request, CancellationToken cancellationToken) =>
        // The library reads any XML, and nothing at all, as a list. Each list says whether it has ended.
        await client.ListObjectsV2Async(request, cancellationToken) is { IsTruncated: not null } page ? page : throw NoList();

    /// <summary>What HEAD tells of an object; null for 404: the answer has no body, and so no code says what does not exist.</summary>
    public async Task<GetObjectMetadataResponse?> HeadAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            return await client.GetObjectMetadataAsync(new() { BucketName = bucket, Key = key }, cancellationToken);
        }
        catch (AmazonS3Exception absent) when (absent is { StatusCode: HttpStatusCode.NotFound, ErrorCode: not "NoSuchBucket" })
        {
            return null;
        }
    }

    protected override Task ProbeAsync(CancellationToken cancellationToken) =>
        ListAsync(new() { BucketName = bucket, Prefix = root, MaxKeys = 1 }, cancellationToken);
}
