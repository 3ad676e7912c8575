using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.IdentityModel.Tokens;
using Mirror.Tests.Peers;
using Xunit;
using static Mirror.Tests.Access.TokenForge;

namespace Mirror.Tests.Access;

/// <summary>Tokens with EdDSA, as <c>registry:3</c> takes them; openssl makes the keys and the signatures.</summary>
public sealed class EdDsaTests : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private MirrorProcess? _registry;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
            await _registry.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task EdDSA_is_verified_with_keys_of_both_files_and_with_a_chain()
    {
        Availability.Of("openssl").OrSkip();
        // Of the bundle, of the JWKS, and one that is trusted nowhere.
        using var bundled = await MakeEd25519Async("bundled");
        using var listed = await MakeEd25519Async("listed");
        using var stranger = await MakeEd25519Async("no");
        var jwks = new JsonObject { ["keys"] = new JsonArray(JwkOf(listed, "2026-11")) };
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = $"""
                auth:
                  token:
                    realm: https://tokens.example/token
                    service: {Service}
                    issuer: {Issuer}
                    signingalgorithms: [EdDSA]
                    rootcertbundle: {_folder["bundled.pem"]}
                    jwks: {_folder.Write("keys.json", jwks.ToJsonString())}

                """,
        });

        foreach (var (key, header, expected) in new (string, JsonObject, HttpStatusCode)[]
        {
            ("bundled", Header("EdDSA", ("kid", NameOf(bundled))), HttpStatusCode.OK),
            ("bundled", Header("EdDSA", ("x5c", X5c(bundled))), HttpStatusCode.OK),
            ("bundled", Header("EdDSA", ("jwk", JwkOf(bundled, null))), HttpStatusCode.OK),
            ("listed", Header("EdDSA", ("kid", "2026-11")), HttpStatusCode.OK),
            ("listed", Header("EdDSA", ("kid", NameOf(listed))), HttpStatusCode.OK),
            ("no", Header("EdDSA", ("kid", NameOf(bundled))), HttpStatusCode.Unauthorized),
            ("no", Header("EdDSA", ("x5c", X5c(stranger))), HttpStatusCode.Unauthorized),
            ("no", Header("EdDSA", ("jwk", JwkOf(stranger, null))), HttpStatusCode.Unauthorized),
            ("no", Header("EdDSA", ("jwk", JwkOf(stranger, "2026-11"))), HttpStatusCode.Unauthorized),
            ("bundled", Header("ES256", ("kid", NameOf(bundled))), HttpStatusCode.Unauthorized),
            ("bundled", Header("none", ("kid", NameOf(bundled))), HttpStatusCode.Unauthorized),
        })
        {
            var text = $"{Base64UrlEncoder.Encode(header.ToJsonString())}.{Base64UrlEncoder.Encode(Claims().ToJsonString())}";
            var (data, signature) = (_folder.Write("data", text), _folder["signature"]);
            await PeerProcess.RunAsync(
                "openssl", ["pkeyutl", "-sign", "-inkey", _folder[$"{key}.key"], "-rawin", "-in", data, "-out", signature]);
            var token = $"{text}.{Base64UrlEncoder.Encode(await File.ReadAllBytesAsync(signature, Cancel))}";
            Assert.True(expected == await StatusAsync(token), $"{key}: {header.ToJsonString()}");
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(token[..^4] + "AAAA"));
        }
    }

    private async Task<HttpStatusCode> StatusAsync(string token)
    {
        using var response = await _registry!.GetAsync("", ("Authorization", $"Bearer {token}"));
        return response.StatusCode;
    }

    private async Task<X509Certificate2> MakeEd25519Async(string name)
    {
        await PeerProcess.RunAsync("openssl",
        [
            "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", $"/CN={name}", "-days", "30", "-keyout", _folder[$"{name}.key"],
            "-out", _folder[$"{name}.pem"],
        ]);
        return X509Certificate2.CreateFromPem(await File.ReadAllTextAsync(_folder[$"{name}.pem"], Cancel));
    }

    private static JsonObject JwkOf(X509Certificate2 certificate, string? kid)
    {
        var x = Base64UrlEncoder.Encode(certificate.PublicKey.EncodedKeyValue.RawData);
        var jwk = new JsonObject { ["kty"] = "OKP", ["crv"] = "Ed25519", ["x"] = x };
        if (kid is not null)
            jwk["kid"] = kid;
        return jwk;
    }

    // RFC 7638, and RFC 8037, 2.
    private static string NameOf(X509Certificate2 certificate) => Base64UrlEncoder.Encode(SHA256.HashData(Encoding.ASCII.GetBytes(
        $$"""{"crv":"Ed25519","kty":"OKP","x":"{{Base64UrlEncoder.Encode(certificate.PublicKey.EncodedKeyValue.RawData)}}"}""")));
}
