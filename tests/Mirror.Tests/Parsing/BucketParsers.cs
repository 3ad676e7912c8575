using System.Security.Cryptography;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Azure;
using Mirror.Storage.Buckets.Gcs;
using Mirror.Storage.Buckets.OpenStack;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Buckets.Swift;
using static Mirror.Tests.Parsing.Parser;

namespace Mirror.Tests.Parsing;

/// <summary>The parsers of what the services of buckets answer.</summary>
internal static class BucketParsers
{
    // Of each run. A service that says "there is more" for ever is not what is looked for here.
    private const int MaxAnswers = 4;

    private static readonly Lazy<string> GoogleKey = new(() =>
    {
        using var key = RSA.Create(2048);
        return key.ExportPkcs8PrivateKeyPem();
    });

    public static readonly Dictionary<string, Parser> Rows = new()
    {
        ["s3-answers"] = new(
            [
                """
                <?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Contents><Key>r/docker/a</Key>
                <LastModified>2026-01-02T03:04:05.000Z</LastModified><Size>7</Size></Contents><CommonPrefixes><Prefix>r/docker/a/</Prefix>
                </CommonPrefixes><IsTruncated>false</IsTruncated></ListBucketResult>
                """,
                """
                <?xml version="1.0"?><ListMultipartUploadsResult><Upload><Key>r/docker/a</Key><UploadId>x</UploadId>
                <Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>
                """,
            ],
            static (place, text) => Answers(place, text, () => new S3Bucket(
                new()
                {
                    Bucket = "b",
                    RootDirectory = "r",
                    RegionEndpoint = place.Server.Url.OriginalString,
                    AccessKey = "a",
                    SecretKey = "b",
                },
                TimeProvider.System)),
            IsRepeated: true),
        ["azure-answers"] = new(
            [
                """
                <?xml version="1.0"?><EnumerationResults ContainerName="c"><Blobs><Blob><Name>/docker/a</Name><Properties>
                <Last-Modified>Fri, 02 Jan 2026 03:04:05 GMT</Last-Modified><Content-Length>7</Content-Length></Properties></Blob>
                <BlobPrefix><Name>/docker/a/</Name></BlobPrefix></Blobs><NextMarker/></EnumerationResults>
                """,
            ],
            static (place, text) => Answers(place, text, () => new AzureBucket(
                new() { AccountName = "a", AccountKey = "YWJj", Container = "c", ServiceUrl = place.Server.Url.OriginalString },
                TimeProvider.System)),
            IsRepeated: true),
        ["gcs-answers"] = new(
            [
                """
                {"kind":"storage#objects","items":[{"name":"r/docker/a","size":"7","timeCreated":"2026-01-02T03:04:05.000Z"}],
                "prefixes":["r/docker/a/"]}
                """,
                """{"error":{"code":404,"message":"no","errors":[{"reason":"notFound"}]}}""",
            ],
            static (place, text) => Answers(place, text, () => new GcsBucket(
                new()
                {
                    Bucket = "b",
                    RootDirectory = "r",
                    Endpoint = place.Server.Url.OriginalString,
                    Credentials = new()
                    {
                        ["type"] = "service_account",
                        ["client_email"] = "a@b.example",
                        ["private_key"] = GoogleKey.Value,
                        ["token_uri"] = $"{place.Server.Url.OriginalString}/token",
                    },
                },
                TimeProvider.System)),
            IsRepeated: true),
        ["swift-answers"] = new(
            [
                """[{"name":"files/docker/a","last_modified":"2026-01-02T03:04:05.000000","bytes":7},{"subdir":"files/docker/a/"}]""",
                """
                {"tempurl":{"methods":["GET"],"allowed_digests":["sha1","sha256"]},"swift":{"version":"2.30.0-x"},
                "bulk_delete":{"max_deletes_per_request":10}}
                """,
                """{"Number Deleted":2,"Errors":[["/c/a","409 Conflict"],["/c/b","500 x"]]}""", "[]", "",
            ],
            static (place, text) => Answers(place, text, () => new SwiftBucket(
                new() { Container = "c", AuthUrl = $"{place.Server.Url.OriginalString}/auth/v1.0", Username = "u", Password = "p" },
                TimeProvider.System)),
            IsSlow: true),
        ["swift-login"] = new(
            [
                """
                X-Subject-Token: t

                {"token":{"catalog":[{"type":"object-store","endpoints":[{"interface":"public","region":"r","url":"https://a"}]}]}}
                """,
                """
                X-Storage-Url: https://a
                X-Auth-Token: t

                {"access":{"token":{"id":"t"},
                "serviceCatalog":[{"type":"object-store","endpoints":[{"region":"r","publicURL":"https://a"}]}]}}
                """,
            ],
            static (_, text) => Logins(text)),
    };

    private static void Answers(ParserPlace place, string text, Func<IBucket> open)
    {
        var left = MaxAnswers;
        var body = FuzzText.Bytes(text);
        place.Server.Answer = line =>
            line.Contains(" /auth/", StringComparison.Ordinal)
                ? new([$"X-Storage-Url: {place.Server.Url.OriginalString}/v1/a", "X-Auth-Token: t"], [])
            : line.Contains(" /token", StringComparison.Ordinal)
                ? new([], """{"access_token":"a","expires_in":3600,"token_type":"Bearer"}"""u8.ToArray())
            // Azure's container is made.
            : line.StartsWith("PUT ", StringComparison.Ordinal) ? new([], [], 201)
            : left-- > 0 ? new(["x-ms-version: 2024-01-01"], body)
            : new([], [], 404);
        Func<IBucket, Task>[] calls =
        [
            static async bucket => { await foreach (var _ in bucket.ListAsync("docker/", 1, CancellationToken.None)) { } },
            static async bucket => { await foreach (var _ in bucket.ListAsync("docker/", null, CancellationToken.None)) { } },
            static async bucket => await bucket.ListFoldersAsync("docker", "", CancellationToken.None),
            static async bucket => { await foreach (var _ in bucket.ListUploadsAsync("docker", CancellationToken.None)) { } },
            static async bucket => await bucket.ReadTextAsync("docker/x", CancellationToken.None),
            static async bucket => await bucket.LocateAsync("docker/x", TimeSpan.FromMinutes(1), CancellationToken.None),
            static async bucket => await bucket.DeleteAsync(["docker/x", "docker/y"], CancellationToken.None),
        ];
        foreach (var call in calls)
        {
            left = MaxAnswers;
            // Each call has its own bucket: one that was refused would make those after it fail without a request.
            using var bucket = open();
            Refused<StoreUnavailableException>(() => call(bucket));
        }
    }

    private static void Logins(string text)
    {
        foreach (var version in new[] { 1, 2, 3 })
            foreach (var (region, tenant, id, trust) in new (string?, string?, string?, string?)[]
                { (null, null, null, null), ("r", "t", null, null), ("r", "t", "i", null), (null, null, null, "x") })
            {
                var options = new SwiftOptions
                {
                    AuthUrl = "https://keystone",
                    AuthVersion = version,
                    Username = "u",
                    Region = region,
                    Tenant = tenant,
                    TenantId = id,
                    TrustId = trust,
                };
                using var tokens = new OpenStackTokens(
                    options, OpenStackService.ObjectStore, new HttpClient(new AnswerHandler(_ => RawAnswer.Of(text))));
                Refused<OpenStackException>(() => tokens.GetAsync(null, CancellationToken.None).AsTask());
            }
    }
}
