using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
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
    private static readonly ECDsa Signer = Ec();
    private static readonly Lazy<TokenVerifier> Verifier = new(Verify);

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
                """{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}""", "{\"keys\":[" + PrivateJwk + "]}",
            ],
            static (place, text) => Refused<IOException>(
                () => Assert.NotNull(new TrustedKeys(new TokenOptions { Jwks = place.Write("jwks", text) }, TimeProvider.System))),
            IsSlow: true),
        ["certificate-bundle"] = new(
            [Certificate],
            static (place, text) => Refused<IOException>(() => Assert.NotNull(
                new TrustedKeys(new TokenOptions { RootCertBundle = place.Write("bundle", text) }, TimeProvider.System))),
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

    private static TokenVerifier Verify()
    {
        using var place = new ParserPlace();
        var keys = new TrustedKeys(
            new TokenOptions { Jwks = place.Write("jwks", $"{{\"keys\":[{PrivateJwk}]}}") }, TimeProvider.System);
        return new(keys.Choose, "i", "r", ["ES256"], TimeProvider.System);
    }

    // A header and claims, which are signed here; or a token as it is.
    private static void Tokens(string text)
    {
        var token = text;
        if (text.Split('\n', 2) is [var header, var claims])
        {
            var signed = $"{Base64Url.EncodeToString(FuzzText.Bytes(header))}.{Base64Url.EncodeToString(FuzzText.Bytes(claims))}";
            token = $"{signed}.{Base64Url.EncodeToString(Signer.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256))}";
        }
        // Of another issuer, whose keys are not asked for.
        var http = new DefaultHttpContext();
        http.Request.Headers.Authorization = BasicHeader.Of(OidcAccess.UserName, token).ToString();
        Assert.Null(Jobs.AuthenticateAsync(http, CancellationToken.None).AsTask().GetAwaiter().GetResult());
        if (Verifier.Value.ReadAsync(token).AsTask().GetAwaiter().GetResult() is not { } read)
            return;
        var name = RepositoryName.Parse("a");
        var user = new TokenUser(read, From: null);
        user.Allows(name, AccessAction.Push);
        Assert.All(user.ClassesOf(name)!, Assert.NotNull);
        foreach (var claim in new[] { "iss", "sub", "aud", "c" })
            Assert.All(user.ValuesOf(claim), Assert.NotNull);
        new OwnTokenUser(read).Grants(name, AccessAction.Pull);
    }

    private static void Folders(ParserPlace place, string text)
    {
        foreach (var name in new[] { "localhost", "acme_account+key", "localhost+order" })
            place.Write(Path.Combine("certificates", name), text);
        var folder = new CertificateFolder(place.Folder["certificates"]);
        using (var key = Try(() => folder.Account()))
            Assert.True(key is null || key.Thumbprint.Length > 0);
        folder.Order("localhost")?.Key.Dispose();
        folder.Certificate("localhost", (_, problem) => Assert.NotEmpty(problem));
        new CertificateFolder(place.Write("old", text)).Certificate("localhost");

        static AccountKey? Try(Func<AccountKey> read)
        {
            AccountKey? key = null;
            Refused<AcmeException>(() => key = read());
            return key;
        }
    }

    private static void OpenId(ParserPlace place, string text)
    {
        var url = place.Server.Address.OriginalString;
        var parts = text.Replace("URL", url, StringComparison.Ordinal).Split('\n', 2);
        place.Server.Answer = line => new([], FuzzText.Bytes(line.Contains("well-known", StringComparison.Ordinal) ? parts[0] : parts[^1]));
        using var access = new OidcAccess(
            new OpenAccess(), new OidcOptions { Issuer = url, Audience = "r" }, TimeProvider.System, NullLogger<OidcAccess>.Instance);
        var http = new DefaultHttpContext();
        var token = $"{Base64Url.EncodeToString("""{"alg":"RS256","kid":"a"}"""u8)}."
            + $"{Base64Url.EncodeToString(Encoding.UTF8.GetBytes($"{{\"iss\":\"{url}\"}}"))}.AAAA";
        http.Request.Headers.Authorization = BasicHeader.Of(OidcAccess.UserName, token).ToString();
        Assert.Null(access.AuthenticateAsync(http, CancellationToken.None).AsTask().GetAwaiter().GetResult());
    }
}
