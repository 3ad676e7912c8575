using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Mirror.Access;
using Mirror.Configuration;
using Mirror.Registry;
using Mirror.Repositories;
using Mirror.Schema1;
using Mirror.Storage;
using Mirror.Tls;
using Xunit;
using static Mirror.Tests.Parsing.Parser;
using static Mirror.Tests.Parsing.ParserInputs;

namespace Mirror.Tests.Parsing;

/// <summary>The parsers of what clients send.</summary>
internal static class RequestParsers
{
    private static readonly TrustedProxies Proxies = new(new HttpOptions { TrustedProxies = ["10.0.0.0/8", "::1"] });
    private static readonly ManifestRules Rules = new(new ValidationOptions
    {
        Manifests = new()
        {
            Urls = new() { Allow = ["^https://"], Deny = ["evil"] },
            Indexes = new() { Platforms = RequiredPlatforms.All },
        },
    });
    private static readonly Schema1Manifests Signer = new(new SigningKey(new()), TimeProvider.System);
    private static readonly Schema1Requests Schema1 = new(new Schema1Options { Enabled = true }, Signer);
    private static readonly Schema1Requests NoSchema1 = new(new Schema1Options(), Signer);
    private static readonly ECDsa Key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    private const string Payload =
        "{\n   \"schemaVersion\": 1,\n   \"name\": \"a\",\n   \"tag\": \"b\",\n   \"fsLayers\": [{\"blobSum\": \"sha256:" + Hex
        + "\"}],\n   \"history\": [{\"v1Compatibility\": \"{}\"}]\n}";

    private const string Config = """
        {"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:HEX"]},"history":[{"created":
        "2020-01-02T03:04:05.600Z","created_by":"/bin/sh <a>","author":"a","comment":"c"},{"created":"2020-01-02T03:04:05+01:00",
        "empty_layer":true}]}
        """;

    public static readonly Dictionary<string, Parser> Rows = new()
    {
        ["digest"] = new([$"sha256:{Hex}", $"sha512:{Hex}{Hex}", "md5:0"], static (_, text) => Digests(text)),
        ["reference"] = new(["latest", $"sha256:{Hex}", "v1.2-x_y"], static (_, text) => References(text)),
        ["name"] = new(["library/nginx", "a/b__c/d-e.f", "localhost:5000/a"], static (_, text) => Names(text)),
        ["name-pattern"] = new(["local/**\nlocal/a", "*\na", "a/*/b\na/c/b"], static (_, text) => Patterns(text)),
        ["route"] = new(
            ["/v2/", "/v2/a/b/manifests/latest", $"/v2/a/blobs/sha256:{Hex}", "/v2/a/blobs/uploads/x", "/v1/search", "/v2/_catalog",
                "/_ping", "/auth/token", "/ghcr.io/v2/a/tags/list", $"/v2/a/referrers/sha256:{Hex}", "/v2/a/blobs/uploads/"],
            static (_, text) => RegistryRoute.Of(text)),
        ["manifest"] = new(
            [
                $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","config":{{Entry}},"layers":[{{Entry}}]}""",
                $$"""{"schemaVersion":2,"manifests":[{{Entry}}],"subject":{{Entry}},"annotations":{"a":"b"},"artifactType":"a/b"}""",
                $$"""{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[{"blobSum":"sha256:{{Hex}}"}],"history":[{"a":"{}"}]}""",
                $$"""{"config":null,"layers":[{"digest":"sha512:{{Hex}}{{Hex}}","size":1,"urls":["https://a"]}],"blobs":[]}""",
            ],
            static (_, text) => Manifests(text)),
        ["schema1"] = new([Payload], static (_, text) => Signed(text)),
        ["schema1-config"] = new([Config.Replace("HEX", Hex, StringComparison.Ordinal)], static (_, text) => Configs(text)),
        ["range"] = new(["bytes=0-1", "bytes=-5", "bytes=1-,3-4,8-9", "items=0-1"], static (_, text) => Ranges(text)),
        ["content-range"] = new(["0-9", "bytes 0-9/10", "bytes 0-9/*"], static (_, text) => ContentRanges(text)),
        ["page"] = new(["10", "0", "2147483647"], static (_, text) => Pages(text)),
        ["accept"] = new(
            ["*/*", MediaTypes.OciIndex, "application/json;q=0.5, text/*", MediaTypes.DockerManifest], static (_, text) => Accepts(text)),
        ["authorization"] = new(
            ["Basic YTpi", "Bearer abc", "basic YTo=", "Basic %"], static (_, text) =>
            {
                BasicHeader.Read(text);
                BearerChallenge.TokenIn(text);
            }),
        ["forwarded"] = new(
            [
                "X-Forwarded-For: 1.2.3.4, 10.0.0.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: a.example:8443",
                "Forwarded: for=\"[2001:db8::1]:80\";proto=http;host=b, for=10.1.1.1", "X-Real-IP: ::ffff:1.2.3.4",
            ],
            static (_, text) => Forwarded(text)),
        ["client-hello"] = new([], static (_, text) => Hello(text)),
        ["client-certificate"] = new([], static (_, text) => Certificates(text)),
    };

    private static void Digests(string text)
    {
        if (Digest.TryParse(text, out var digest))
            Assert.Equal(text, digest.ToString());
    }

    private static void References(string text)
    {
        Assert.False(Reference.IsTagName(null));
        if (Reference.TryParse(text, out var reference))
            Assert.Equal(text, reference.ToString());
    }

    private static void Names(string text)
    {
        if (RepositoryName.TryParse(text, out var name))
            Assert.Equal(text, name.ToString());
    }

    private static void Patterns(string text)
    {
        var end = text.IndexOf('\n', StringComparison.Ordinal);
        var (pattern, name) = end < 0 ? (text, "") : (text[..end], text[(end + 1)..]);
        NamePattern[] patterns = [new("x"), new(pattern)];
        Assert.Equal(patterns[1].IsMatch(name) || name is "x", NamePattern.AnyMatches(patterns, name));
        if (patterns[1].IsMatch(name))
            Assert.True(pattern.Contains('*', StringComparison.Ordinal) || pattern == name, text);
    }

    private static void Manifests(string text)
    {
        var bytes = FuzzText.Bytes(text);
        var lenient = ManifestDocument.Read(bytes);
        Schema1Manifests.Mistake(bytes);
        Refused<System.Text.Json.JsonException>(() =>
        {
            foreach (var entry in ManifestDocument.DescriptorsIn(bytes))
                Assert.True(ManifestDocument.ArtifactTypeOf(entry) is null || ManifestDocument.DigestOf(entry)?.Hex is null or not "");
        });
        if (lenient is not null)
            Listed(lenient, bytes);
        if (!ManifestDocument.TryParse(bytes, out var document, out var problem))
        {
            Assert.NotEmpty(problem);
            return;
        }
        Assert.All(document.Manifests, entry => Assert.Contains(entry, document.Entries));
        // A collection keeps what any reader sees.
        Assert.NotNull(lenient);
        Assert.All(document.Entries, entry => Assert.Contains(entry.Digest, lenient.Entries.Select(other => other.Digest)));
        Listed(document, bytes);
        Refused<RegistryException>(() => ManifestRules.TypeOf("", document));
        Refused<RegistryException>(() => ManifestRules.TypeOf($"{document.Type}; a=b", document));
        Refused<RegistryException>(() => Assert.All(Rules.RequiredBlobs(document), digest => Assert.NotNull(digest.Hex)));
        Assert.All(Rules.RequiredChildren(document), digest => Assert.NotNull(digest.Hex));
    }

    private static void Listed(ManifestDocument document, byte[] bytes)
    {
        var digest = Digest.Of(bytes);
        var listed = document.DescriptorAsReferrer(new("a/b", digest, bytes.Length));
        Assert.Equal(digest, ManifestDocument.DigestOf(listed));
        ManifestDocument.ArtifactTypeOf(listed);
        PlatformChoice.Needed("text/plain", new(new(MediaTypes.OciIndex, digest, bytes.Length), bytes));
    }

    // A manifest as it is; or the header of a signature, and the payload that is signed here.
    private static void Signed(string text)
    {
        var bytes = text.Split('\n', 2) is [['{', .., '}'] header, ['{', .., '}'] signed]
            ? WithHeader(header, FuzzText.Bytes(signed))
            : FuzzText.Bytes(text);
        foreach (var type in new[] { "", "application/json", $"{MediaTypes.DockerSignedSchema1}; charset=utf-8", "text/plain" })
            Schema1Requests.IsPush(type, bytes);
        Schema1Manifests.PayloadWith(Digest.Of(bytes), bytes);
        foreach (var digest in new[] { Digest.Of("x"u8), Digest.Of(bytes) })
            Refused<FormatException>(() => Schema1Manifests.Stored(new(new(MediaTypes.DockerSignedSchema1, digest, bytes.Length), bytes)));
        Refused<RegistryException>(() =>
        {
            var payload = Schema1.PayloadOf(bytes);
            var signed = Schema1.WithSignature(payload, Digest.Of(payload));
            Assert.Equal(payload, Schema1.PayloadOf(signed.Bytes));
        });
        Refused<FormatException>(() => Schema1.WithSignature(bytes, Digest.Of(bytes)));
        Refused<RegistryException>(() => Assert.Empty(NoSchema1.PayloadOf(bytes)));
    }

    private static byte[] WithHeader(string header, byte[] payload)
    {
        var format = Base64Url.EncodeToString(Encoding.ASCII.GetBytes($"{{\"formatLength\":{payload.Length - 1},\"formatTail\":\"fQ\"}}"));
        var signed = Encoding.ASCII.GetBytes($"{format}.{Base64Url.EncodeToString(payload)}");
        var signature = Base64Url.EncodeToString(TokenParsers.Signer.SignData(signed, HashAlgorithmName.SHA256));
        return
        [
            .. payload[..^1],
            .. FuzzText.Bytes($",\"signatures\":[{{\"header\":{header},\"signature\":\"{signature}\",\"protected\":\"{format}\"}}]}}"),
        ];
    }

    private static void Configs(string text)
    {
        Refused<FormatException>(() =>
        {
            var payload = Conversion.PayloadOf(RepositoryName.Parse("a/b"), "t", FuzzText.Bytes(text), [Digest.Of("a"u8)]);
            Assert.Null(Schema1Manifests.Mistake(payload));
        });
    }

    private static void Ranges(string text)
    {
        var http = new DefaultHttpContext();
        http.Request.Headers.Range = text;
        foreach (var part in ByteRange.Of(http.Request, 1000, "\"x\"") ?? [])
            Assert.True(0 <= part.From && part.From < part.End && part.End <= 1000, text);
        http.Request.Headers.IfRange = text;
        ByteRange.Of(http.Request, 1000, "\"x\"");
    }

    private static void ContentRanges(string text)
    {
        var http = new DefaultHttpContext();
        http.Request.Headers.ContentRange = text;
        Refused<RegistryException>(() => Assert.InRange(ContentRange.Length(http.Request, 0) ?? 1, 1, long.MaxValue));
        http.Request.ContentLength = 10;
        Refused<RegistryException>(() => Assert.Equal(10, ContentRange.Length(http.Request, 0) ?? 10));
    }

    private static void Pages(string text)
    {
        var http = new DefaultHttpContext();
        Assert.Null(Paging.Count(http.Request.Query));
        http.Request.QueryString = new QueryString($"?n={text.Replace('\ud800', '?')}");
        Refused<RegistryException>(() => Paging.Count(http.Request.Query));
    }

    private static void Accepts(string text)
    {
        // A request may have no header.
        foreach (var accept in new StringValues[] { text, default })
            foreach (var type in new[] { MediaTypes.OciIndex, MediaTypes.OciManifest })
                PlatformChoice.Accepts(accept, type);
        Schema1.IsFor(text);
        Assert.False(NoSchema1.IsFor(text));
    }

    private static void Forwarded(string text)
    {
        foreach (var peer in new[] { "10.0.0.9", "1.1.1.1" })
        {
            var http = new DefaultHttpContext();
            http.Connection.RemoteIpAddress = IPAddress.Parse(peer);
            foreach (var line in text.Split('\n'))
                if (line.Split(": ", 2) is [{ Length: > 0 } header, var value])
                    http.Request.Headers[header] = value;
            var isTold = Proxies.Apply(http, isFromReplica: false);
            var origin = TrustedProxies.AskedOrigin(http.Request.Headers);
            Assert.True(origin is null || Uri.TryCreate(origin, UriKind.Absolute, out var url) && url.PathAndQuery == "/", origin);
            // What is not a proxy's is not believed.
            Assert.True(peer != "1.1.1.1" || !isTold && origin is null && http.Connection.RemoteIpAddress!.ToString() == peer);
        }
    }

    private static void Hello(string text)
    {
        var bytes = FuzzText.Bytes(text);
        if (ClientHello.LengthOf(bytes) is not 0)
        {
            Assert.NotNull(ClientHello.Read(bytes).Host);
            _ = ClientHello.OffersTls13(bytes);
        }
    }

    private static void Certificates(string text)
    {
        var request = new CertificateRequest("CN=a, O=b", Key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509Extension("2.5.29.17", FuzzText.Bytes(text), critical: false));
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddDays(1));
        Assert.Contains("a", CertificateNames.Of(certificate));
    }
}
