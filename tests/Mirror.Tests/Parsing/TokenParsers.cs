using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Access;
using Mirror.Configuration;
using Mirror.Schema1;
using Mirror.Storage;
using Mirror.Tls.Acme;
using Xunit;
using static Mirror.Tests.Parsing.Parser;
using static Mirror.Tests.Parsing.ParserInputs;

namespace Mirror.Tests.Parsing;

/// <summary>The parsers of tokens, keys and certificates.</summary>
internal static class TokenParsers
{
    /// <summary>The first key of <see cref="ParserInputs"/>.</summary>
    public static readonly ECDsa Signer = Ec();

    private const string OwnJwks = "{\"keys\":[" + PrivateJwk + "]}";

    // Keys for the other algorithms of tokens.
    private static readonly RSA Rsa = RSA.Create(2048);
    private static readonly ECDsa Ec384 = ECDsa.Create(ECCurve.NamedCurves.nistP384);
    private static readonly ECDsa Ec521 = ECDsa.Create(ECCurve.NamedCurves.nistP521);

    // The end of a token in an input means the same on every day.
    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch.AddYears(60);

    private static readonly Lazy<TokenVerifier> Verifier = new(Verify);
    private static readonly Lazy<PrivilegedKey> Privileged = new(() =>
    {
        using var place = new ParserPlace();
        return new(new AuthOptions { PrivilegedKey = place.Write("key", Rsa.ExportSubjectPublicKeyInfoPem()) }, new FakeTimeProvider(Now));
    });

    private static readonly OidcAccess Jobs = new(
        new OpenAccess(), new OidcOptions { Issuer = "https://issuer.invalid", Audience = "r" }, TimeProvider.System,
        NullLogger<OidcAccess>.Instance);

    public static readonly Dictionary<string, Parser> Rows = new()
    {
        ["token"] = new(
            [
                """
                {"alg":"ES256","typ":"JWT","kid":"a"}
                {"iss":"i","sub":"s","aud":"r","exp":9999999999,"nbf":1,"access":[{"type":"repository","name":"a","actions":["pull","*"]}]}
                """,
                """
                {"alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"a","y":"b"},"x5c":["MIIB"]}
                {"iss":"i","aud":["r",1],"exp":9999999999.5,"login":{"a":["b"]},"c":[true,1,"t",[2],{}]}
                """,
                "eyJhbGciOiJub25lIn0.e30.", "a.b.c",
            ],
            static (_, text) => Tokens(text)),
        ["jwks"] = new(
            [
                """{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA","kid":"a"}]}""",
                """{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}""", OwnJwks,
            ],
            static (place, text) => Refused<IOException>(
                () => Keys(new() { Jwks = place.Write("jwks", text) }, new() { RootCertBundle = place.Write("bundle", Certificate) })),
            IsSlow: true),
        ["certificate-bundle"] = new(
            [Certificate],
            static (place, text) => Refused<IOException>(
                () => Keys(new() { RootCertBundle = place.Write("bundle", text) }, new() { Jwks = place.Write("jwks", OwnJwks) })),
            IsSlow: true),
        ["privileged-key"] = new(
            [RsaPem, PrivatePem, PublicPem],
            static (place, text) => Refused<IOException>(() => Assert.NotNull(
                new PrivilegedKey(new AuthOptions { PrivilegedKey = place.Write("key", text) }, TimeProvider.System))),
            IsSlow: true),
        ["signing-key"] = new(
            [PrivatePem, PrivateJwk, PublicPem],
            static (place, text) => Refused<IOException>(() =>
            {
                using var key = new SigningKey(new() { SigningKeyFile = place.Write("signing", text) });
                Assert.NotEmpty(key.Sign("x"u8));
            }),
            IsSlow: true),
        ["certificate-folder"] = new(
            [
                Certificate, PrivatePem + "\n" + Certificate, """{"url":"https://a.example/1","key":"x"}""",
                """{"Certs":{"localhost":{"Cert":"c","Key":"k"}}}""",
            ],
            static (place, text) => Folders(place, text), IsSlow: true),
        ["openid-keys"] = new(
            [
                "{\"issuer\":\"URL\",\"jwks_uri\":\"URL/keys\"}\n"
                    + "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
                "{\"issuer\":\"URL\",\"jwks_uri\":\"URL/keys\"}\n{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
            ],
            static (place, text) => OpenId(place, text), IsSlow: true),
    };

    private static ECDsa Ec()
    {
        var key = ECDsa.Create();
        key.ImportFromPem(PrivatePem);
        return key;
    }

    // A file of keys alone, and together with the other kind of file.
    private static void Keys(TokenOptions tested, TokenOptions other)
    {
        Refused<IOException>(() => Assert.NotNull(new TrustedKeys(tested, TimeProvider.System)));
        Assert.NotNull(new TrustedKeys(
            new TokenOptions { Jwks = tested.Jwks ?? other.Jwks, RootCertBundle = tested.RootCertBundle ?? other.RootCertBundle },
            TimeProvider.System));
    }

    private static TokenVerifier Verify()
    {
        using var place = new ParserPlace();
        var keys = new TrustedKeys(
            new TokenOptions
            {
                Jwks = place.Write("jwks", $"{{\"keys\":[{PrivateJwk},{Jwk("b", Ec384)},{Jwk("c", Ec521)}]}}"),
                RootCertBundle = place.Write("bundle", Certificate),
            },
            new FakeTimeProvider(Now));
        return new(keys.Choose, "i", "r", TokenServerAccess.AllAlgorithms, new FakeTimeProvider(Now));
    }

    private static string Jwk(string name, ECDsa key)
    {
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        var (x, y) = (Base64Url.EncodeToString(point.X), Base64Url.EncodeToString(point.Y));
        return $$"""{"kty":"EC","crv":"P-{{key.KeySize}}","kid":"{{name}}","x":"{{x}}","y":"{{y}}"}""";
    }

    // A header and claims, which are signed here; or a token as it is.
    private static void Tokens(string text)
    {
        var token = text;
        if (text.Split('\n', 2) is [var head, var claims])
            token = Token(FuzzText.Bytes(head), FuzzText.Bytes(claims));
        // Of another issuer, whose keys are not asked for.
        var http = new DefaultHttpContext();
        http.Request.Headers.Authorization = BasicHeader.Of(OidcAccess.UserName, token).ToString();
        Assert.Null(Jobs.AuthenticateAsync(http, CancellationToken.None).AsTask().GetAwaiter().GetResult());
        // The owner of the privileged key signs with another algorithm.
        foreach (var header in new[]
            { $"Bearer {token}", BasicHeader.Of(PrivilegedKey.UserName, token).ToString(), BasicHeader.Of("a", token).ToString(), null })
        {
            http.Request.Headers.Authorization = header;
            var owner = Privileged.Value.UserOfAsync(http.Request).AsTask().GetAwaiter().GetResult();
            Assert.True(owner is null || IsSigned(text, "RS256"));
        }
        if (Verifier.Value.ReadAsync(token).AsTask().GetAwaiter().GetResult() is not { } read)
            return;
        var name = RepositoryName.Parse("a");
        var user = new TokenUser(read, From: null);
        user.Allows(name, AccessAction.Push);
        Assert.All(user.ClassesOf(name)!, Assert.NotNull);
        foreach (var claim in new[] { "iss", "sub", "aud", "c" })
            Assert.All(user.ValuesOf(claim), Assert.NotNull);
        Owned(user, name);
    }

    // A token of this server has the claims of a login in a claim of its own, and no other claims.
    private static void Owned(TokenUser user, RepositoryName name)
    {
        var claims = user.ValuesOf("c").ToArray();
        foreach (var others in new[] { null, [], new Dictionary<string, JsonElement>([OwnTokenUser.Remember([new("c", claims)])]) })
        {
            var own = new OwnTokenUser(user.Claims with { Others = others });
            own.Grants(name, AccessAction.Pull);
            Assert.Equal(others is { Count: > 0 } ? claims : [], own.ValuesOf("c"));
            Assert.Empty(own.ValuesOf("d"));
        }
    }

    private static string Token(byte[] header, byte[] claims)
    {
        var signed = $"{Base64Url.EncodeToString(header)}.{Base64Url.EncodeToString(claims)}";
        var bytes = Encoding.ASCII.GetBytes(signed);
        var text = FuzzText.Of(header);
        var signature = IsSigned(text, "RS256") ? Rsa.SignData(bytes, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : IsSigned(text, "ES384") ? Ec384.SignData(bytes, HashAlgorithmName.SHA384)
            : IsSigned(text, "ES512") ? Ec521.SignData(bytes, HashAlgorithmName.SHA512)
            : Signer.SignData(bytes, HashAlgorithmName.SHA256);
        return $"{signed}.{Base64Url.EncodeToString(signature)}";
    }

    private static bool IsSigned(string text, string algorithm) => text.Contains($"\"{algorithm}\"", StringComparison.Ordinal);

    private static void Folders(ParserPlace place, string text)
    {
        foreach (var name in new[] { "localhost", "acme_account+key", "localhost+order" })
            place.Write(Path.Combine("certificates", name), text);
        var folder = new CertificateFolder(place.Folder["certificates"]);
        using (var key = Try(() => folder.Account()))
            Assert.True(key is null || key.Thumbprint.Length > 0);
        folder.Order("localhost")?.Key.Dispose();
        folder.Certificate("localhost", (_, problem) => Assert.NotEmpty(problem));
        var old = new CertificateFolder(place.Write("old", text));
        old.Certificate("localhost");
        // The file may be removed while the server runs. The key of registry:2's account is beside it, under an older name.
        File.Delete(place.Folder["old"]);
        old.Certificate("localhost", (_, problem) => Assert.NotEmpty(problem));
        place.Write(Path.Combine("older", "acme_account.key"), text);
        using (var key = Try(() => new CertificateFolder(place.Folder["older"]).Account()))
            Assert.True(key is null || key.Thumbprint.Length > 0);

        static AccountKey? Try(Func<AccountKey> read)
        {
            AccountKey? key = null;
            Refused<AcmeException>(() => key = read());
            return key;
        }
    }

    // The answers for the discovery document, for the keys, and for the keys when they are asked for again.
    private static void OpenId(ParserPlace place, string text)
    {
        var url = place.Server.Url.OriginalString;
        var parts = text.Replace("URL", url, StringComparison.Ordinal).Split('\n', 3);
        var looks = 0;
        place.Server.Answer = line => new([], FuzzText.Bytes(
            line.Contains("well-known", StringComparison.Ordinal) ? parts[0] : parts[Math.Min(++looks, parts.Length - 1)]));
        var clock = new FakeTimeProvider(Now);
        using var access = new OidcAccess(
            new OpenAccess(), new OidcOptions { Issuer = url, Audience = "r" }, clock, NullLogger<OidcAccess>.Instance);
        var end = Now.AddHours(1).ToUnixTimeSeconds();
        var claims = Encoding.UTF8.GetBytes($"{{\"iss\":\"{url}\",\"aud\":\"r\",\"sub\":\"s\",\"exp\":{end}}}");
        var tokens = new[] { """{"alg":"ES256","kid":"a"}""", """{"alg":"ES256"}""", """{"alg":"ES256","kid":7}""" }
            .Select(header => Token(Encoding.UTF8.GetBytes(header), claims)).ToList();
        // Each token twice: the second time its user is known.
        foreach (var token in tokens)
            Assert.Equal(UserOf(token)?.Name, UserOf(token)?.Name);
        // A token with an unknown key makes the server ask for the keys again, and then each user has to be verified again.
        clock.Advance(TimeSpan.FromMinutes(1));
        UserOf(Token("""{"alg":"ES256","kid":"unknown"}"""u8.ToArray(), claims));
        foreach (var token in tokens)
            UserOf(token);
        clock.Advance(TimeSpan.FromHours(2));
        Assert.All(tokens, token => Assert.Null(UserOf(token)));

        AccessUser? UserOf(string token)
        {
            var http = new DefaultHttpContext();
            http.Request.Headers.Authorization = BasicHeader.Of(OidcAccess.UserName, token).ToString();
            var user = access.AuthenticateAsync(http, CancellationToken.None).AsTask().GetAwaiter().GetResult();
            // A document has the key that signed it, if any is let in.
            Assert.True(user is null || text.Contains("pzxOtRzvkdXFg57KSn9uBXPbota5PxHidt92A046QYE", StringComparison.Ordinal));
            return user;
        }
    }
}
