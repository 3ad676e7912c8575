using System.Net;
using System.Xml;
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
        // The library does not explain every answer that is no XML.
        AmazonServiceException or AmazonClientException or HttpRequestException or IOException or XmlException => CallFailure.Away,
        _ => null,
    };

    protected override string Describe(Exception failure) => failure is AmazonServiceException { ErrorCode: { Length: > 0 } code }
        ? $"refused: {code}: {failure.Message}{Advice(IsElsewhere(failure) ? "PermanentRedirect" : code)}"
        : $"cannot be reached: {failure.Message}";

    // Aliyun answers AccessDenied for a bucket of another region, and says so in words only.
    private static bool IsElsewhere(Exception failure) =>
        failure.Message.Contains("must be addressed using the specified endpoint", StringComparison.OrdinalIgnoreCase);

    private static string Advice(string code) => code switch
    {
        "NoSuchBucket" => "; there is no such bucket: create it, or change bucket",
        "InvalidAccessKeyId" => "; the store does not know the access key",
        "SignatureDoesNotMatch" => "; the secret key is not that of the access key",
        "ExpiredToken" or "InvalidToken" or "TokenRefreshRequired" => "; the credentials are over: renew them",
        "RequestTimeTooSkewed" => "; the clock of this machine and that of the store differ: set the clock",
        "AccessDenied" or "Forbidden" => "; the account may not do this: give it the right, or use another one",
        "AuthorizationHeaderMalformed" or "PermanentRedirect" or "IllegalLocationConstraintException" =>
            "; the bucket is in another region: change region",
        _ => "",
    };

    protected override Task ProbeAsync(CancellationToken cancellationToken) =>
        client.ListObjectsV2Async(new ListObjectsV2Request { BucketName = bucket, Prefix = root, MaxKeys = 1 }, cancellationToken);
}
