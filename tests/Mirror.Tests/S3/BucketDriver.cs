using Mirror.Tests.Peers;

namespace Mirror.Tests.S3;

/// <summary>The collection of the tests that stop the fragile gateway, so that they run one after the other.</summary>
internal static class FragileGateway
{
    internal const string Name = "fragile gateway";
}

/// <summary>The section <c>storage.s3</c>, as both the mirror and docker-registry read it.</summary>
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
