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

    protected override CallFailure? Explain(Exception failure) => failure switch
    {
        AmazonS3Exception { StatusCode: HttpStatusCode.NotFound, ErrorCode: not "NoSuchBucket" } => CallFailure.Missing,
        AmazonServiceException { StatusCode: >= HttpStatusCode.BadRequest and < HttpStatusCode.InternalServerError } refusal
            when !BadCredentials.Contains(refusal.ErrorCode) => CallFailure.Refused,
        AmazonServiceException or AmazonClientException or HttpRequestException or IOException => CallFailure.Away,
        _ => null,
    };

    protected override string Describe(Exception failure) => failure is AmazonServiceException { ErrorCode: { Length: > 0 } code }
        ? $"refused: {code}: {failure.Message}"
        : $"cannot be reached: {failure.Message}";

    protected override Task ProbeAsync(CancellationToken cancellationToken) =>
        client.ListObjectsV2Async(new ListObjectsV2Request { BucketName = bucket, Prefix = root, MaxKeys = 1 }, cancellationToken);
}
