using Mirror.Tests.Peers;

namespace Mirror.Tests.S3;

/// <summary>The name of the tests that may take the gateway away, one after the other: there is one for that.</summary>
internal static class FragileGateway
{
    internal const string Name = "fragile gateway";
}

/// <summary>The section <c>storage.s3</c>, in lines that the mirror and docker-registry read alike.</summary>
internal static class BucketDriver
{
    internal static string Of(Uri url, string root, string? secretKey = null) =>
        "  s3:\n"
        + $"    accesskey: {Radosgw.AccessKey}\n"
        + $"    secretkey: {secretKey ?? Radosgw.SecretKey}\n"
        + "    region: us-east-1\n"
        + $"    regionendpoint: {url.OriginalString}\n"
        + $"    bucket: {Radosgw.Bucket}\n"
        + $"    rootdirectory: /{root}\n"
        + "    secure: false\n"
        + "    v4auth: true\n";
}
