using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Microsoft.IdentityModel.Tokens;
using Mirror.Tls;
using static Mirror.Tests.Access.TokenForge;

namespace Mirror.Tests.Access;

/// <summary>The keys of a token server, the bundle that both registries read, and tokens of every kind, good and bad.</summary>
internal sealed class TokenTable : IDisposable
{
    private readonly RSA _root = RSA.Create(2048);
    private readonly RSA _intermediate = RSA.Create(2048);
    private readonly RSA _offline = RSA.Create(2048);
    private readonly RSA _bundled = RSA.Create(2048);
    private readonly RSA _leaf = RSA.Create(2048);
    private readonly RSA _old = RSA.Create(2048);
    private readonly RSA _stranger = RSA.Create(2048);
    private readonly ECDsa _p256 = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly ECDsa _p384 = ECDsa.Create(ECCurve.NamedCurves.nistP384);
    private readonly ECDsa _p521 = ECDsa.Create(ECCurve.NamedCurves.nistP521);
    private readonly X509Certificate2 _rootCertificate;
    private readonly X509Certificate2 _bundledCertificate;
    private readonly X509Certificate2 _p256Certificate;

    internal TokenTable()
    {
        _rootCertificate = SelfSigned("root", _root, isAuthority: true);
        using var offline = SelfSigned("offline", _offline, isAuthority: true);
        _bundledCertificate = Issue(offline, _offline, "bundled", _bundled, isAuthority: true);
        _p256Certificate = SelfSigned("p256", _p256);
        using var p384 = SelfSigned("p384", _p384);
        using var p521 = SelfSigned("p521", _p521);
        using var old = SelfSigned("old", _old, isAuthority: true, endsInDays: -1);
        X509Certificate2[] bundle = [_rootCertificate, _bundledCertificate, _p256Certificate, p384, p521, old];
        // Other blocks are skipped.
        Bundle = string.Join('\n', [.. bundle.Select(one => one.ExportCertificatePem()), _stranger.ExportSubjectPublicKeyInfoPem(), ""]);
    }

    /// <summary>The file of <c>rootcertbundle</c>.</summary>
    internal string Bundle { get; }

    /// <summary>A good token of alice for this access.</summary>
    internal string Good(params string[] access) => Sign(Header("RS256", ("kid", Name(_root))), Claims(access), Rs256(_root));

    /// <summary>Every token, by what it is. Null: no header at all. Those that are let in may pull from and push to team/app.</summary>
    internal IEnumerable<(string What, string? Authorization)> Rows() => Tokens()
        .Select(row => (row.What, (string?)$"Bearer {row.Token}"))
        .Concat(Headers());

    public void Dispose()
    {
        foreach (IDisposable one in new IDisposable[]
        {
            _root, _intermediate, _offline, _bundled, _leaf, _old, _stranger, _p256, _p384, _p521, _rootCertificate, _bundledCertificate,
            _p256Certificate,
        })
            one.Dispose();
    }

    // The name of registry:2. That docker-registry finds the keys by it says that it is right.
    private static string Name(AsymmetricAlgorithm key) => KeyNames.Of(key).First();

    private static JsonObject Both() => Claims("repository:team/app:pull,push");

    private IEnumerable<(string What, string? Authorization)> Headers()
    {
        var good = Good("repository:team/app:pull,push");
        return
        [
            ("no header", null), ("empty header", ""), ("basic", "Basic YWxpY2U6c2VjcmV0"), ("lower-case scheme", $"bearer {good}"),
            ("upper-case scheme", $"BEARER {good}"), ("two blanks", $"Bearer  {good}"), ("three words", $"Bearer {good} x"),
            ("scheme alone", "Bearer"), ("no scheme", good), ("other scheme", $"Token {good}"),
        ];
    }

    private IEnumerable<(string What, string Token)> Tokens()
    {
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        string Kid(JsonNode claims) => Sign(Header("RS256", ("kid", Name(_root))), claims, Rs256(_root));

        // What is granted.
        yield return ("pull and push", Kid(Both()));
        yield return ("pull only", Good("repository:team/app:pull"));
        yield return ("push only", Good("repository:team/app:push"));
        yield return ("delete only", Good("repository:team/app:delete"));
        yield return ("star", Good("repository:team/app:*"));
        yield return ("two entries", Good("repository:team/app:pull", "repository:team/app:push"));
        yield return ("another repository", Good("repository:team/other:pull,push"));
        yield return ("both repositories", Good("repository:team/app:pull,push", "repository:team/other:pull"));
        yield return ("pattern", Good("repository:team/*:pull,push"));
        yield return ("other type", Good("registry:team/app:pull,push"));
        yield return ("upper-case action", Good("repository:team/app:PULL,PUSH"));
        yield return ("catalog", Good("registry:catalog:*"));
        yield return ("catalog by pull", Good("registry:catalog:pull"));
        yield return ("no access", Kid(Claims()));
        yield return ("access missing", Kid(Both().With("access", null)));
        yield return ("access is text", Kid(Both().With("access", "repository:team/app:pull,push")));
        yield return ("actions are text", Kid(Both().With("access", new JsonArray(
            new JsonObject { ["type"] = "repository", ["name"] = "team/app", ["actions"] = "pull" }))));
        var plugin = Both();
        plugin["access"]![0]!["class"] = "plugin";
        yield return ("class plugin", Kid(plugin));

        // Times. Sixty seconds are forgiven.
        yield return ("expired", Kid(Both().With("exp", now - 3600)));
        yield return ("just expired", Kid(Both().With("exp", now - 20)));
        yield return ("expired for long enough", Kid(Both().With("exp", now - 90)));
        yield return ("no exp", Kid(Both().With("exp", null)));
        yield return ("exp is text", Kid(Both().With("exp", $"{now + 300}")));
        yield return ("exp is negative", Kid(Both().With("exp", -1)));
        yield return ("exp has a fraction", Kid(Both().With("exp", now + 300.5)));
        yield return ("exp far away", Kid(Both().With("exp", long.MaxValue / 4)));
        yield return ("early", Kid(Both().With("nbf", now + 3600)));
        yield return ("a little early", Kid(Both().With("nbf", now + 30)));
        yield return ("no nbf", Kid(Both().With("nbf", null)));
        yield return ("no iat", Kid(Both().With("iat", null)));
        yield return ("iat ahead", Kid(Both().With("iat", now + 3600)));

        // Names.
        yield return ("wrong audience", Kid(Both().With("aud", "another.example")));
        yield return ("no audience", Kid(Both().With("aud", null)));
        yield return ("list as audience", Kid(Both().With("aud", new JsonArray(Service, "another.example"))));
        yield return ("list without us", Kid(Both().With("aud", new JsonArray("another.example"))));
        yield return ("audience is a number", Kid(Both().With("aud", 5)));
        yield return ("audience in upper case", Kid(Both().With("aud", Service.ToUpperInvariant())));
        yield return ("wrong issuer", Kid(Both().With("iss", "another.example")));
        yield return ("no issuer", Kid(Both().With("iss", null)));
        yield return ("issuer is a list", Kid(Both().With("iss", new JsonArray(Issuer))));
        yield return ("no subject", Kid(Both().With("sub", null)));
        yield return ("empty subject", Kid(Both().With("sub", "")));
        yield return ("subject is a number", Kid(Both().With("sub", 5)));
        yield return ("no jti", Kid(Both().With("jti", null)));

        // Algorithms.
        foreach (var (name, hash) in new[] { ("RS384", HashAlgorithmName.SHA384), ("RS512", HashAlgorithmName.SHA512) })
            yield return (name, Sign(Header(name, ("kid", Name(_root))), Both(), Rs(_root, hash)));
        yield return ("ES256", Sign(Header("ES256", ("kid", Name(_p256))), Both(), Es(_p256, HashAlgorithmName.SHA256)));
        yield return ("ES384", Sign(Header("ES384", ("kid", Name(_p384))), Both(), Es(_p384, HashAlgorithmName.SHA384)));
        yield return ("ES512", Sign(Header("ES512", ("kid", Name(_p521))), Both(), Es(_p521, HashAlgorithmName.SHA512)));
        yield return ("ES256 with another curve", Sign(Header("ES256", ("kid", Name(_p384))), Both(), Es(_p384, HashAlgorithmName.SHA256)));
        yield return ("PS256", Sign(Header("PS256", ("kid", Name(_root))), Both(), Ps256(_root)));
        yield return ("RS256 named, PS256 signed", Sign(Header("RS256", ("kid", Name(_root))), Both(), Ps256(_root)));
        yield return ("alg none", Sign(Header("none", ("kid", Name(_root))), Both(), _ => []));
        yield return ("alg None", Sign(Header("None", ("kid", Name(_root))), Both(), _ => []));
        yield return ("alg none without kid", Sign(Header("none"), Both(), _ => []));
        yield return ("no alg", Sign(Header("RS256", ("kid", Name(_root))).With("alg", null), Both(), Rs256(_root)));
        yield return ("alg is a number", Sign(Header("RS256", ("kid", Name(_root))).With("alg", 256), Both(), Rs256(_root)));
        yield return ("alg in lower case", Sign(Header("rs256", ("kid", Name(_root))), Both(), Rs256(_root)));
        foreach (var (what, key) in new[]
        {
            ("HS256 with the certificate", _rootCertificate.RawData),
            ("HS256 with its PEM", System.Text.Encoding.ASCII.GetBytes(_rootCertificate.ExportCertificatePem())),
            ("HS256 with the public key", _root.ExportSubjectPublicKeyInfo()),
            ("HS256 with the modulus", _root.ExportParameters(false).Modulus!),
            ("HS256 with nothing", []),
        })
            yield return (what, Sign(Header("HS256", ("kid", Name(_root))), Both(), Hs256(key)));

        // Signatures.
        var good = Kid(Both());
        yield return ("wrong key", Sign(Header("RS256", ("kid", Name(_root))), Both(), Rs256(_stranger)));
        yield return ("no signature", good[..(good.LastIndexOf('.') + 1)]);
        yield return ("cut signature", good[..^8]);
        var more = Base64UrlEncoder.Encode(Claims("repository:team/app:*").ToJsonString());
        yield return ("other claims", $"{good.Split('.')[0]}.{more}.{good.Split('.')[2]}");
        yield return ("two parts", good[..good.LastIndexOf('.')]);
        yield return ("four parts", good + ".x");
        yield return ("five parts", good + ".x.y");
        yield return ("not Base64", "!!!.???.***");
        yield return ("not JSON", Sign("not JSON", "not JSON", Rs256(_root)));
        yield return ("header is a list", Sign("[]", Both().ToJsonString(), Rs256(_root)));
        yield return ("claims are a list", Kid(new JsonArray()));
        yield return ("claims are null", Sign(Header("RS256", ("kid", Name(_root))).ToJsonString(), "null", Rs256(_root)));
        yield return ("nested", Sign(
            Header("RS256", ("kid", Name(_root)), ("cty", "JWT")).ToJsonString(), good, Rs256(_root)));
        yield return ("nested as text", Kid(JsonValue.Create(good)));
        yield return ("critical extension", Root(("kid", Name(_root)), ("crit", new JsonArray("exp"))));
        yield return ("other typ", Sign(Header("RS256", ("kid", Name(_root))).With("typ", "at+jwt"), Both(), Rs256(_root)));
        yield return ("no typ", Sign(Header("RS256", ("kid", Name(_root))).With("typ", null), Both(), Rs256(_root)));
        yield return ("64 KiB", Kid(Both().With("padding", new string('x', 48 << 10))));
        yield return ("20 KiB", Kid(Both().With("padding", new string('x', 15 << 10))));

        // Which key: kid.
        yield return ("no kid", Sign(Header("RS256"), Both(), Rs256(_root)));
        yield return ("empty kid", Sign(Header("RS256", ("kid", "")), Both(), Rs256(_root)));
        yield return ("unknown kid", Sign(Header("RS256", ("kid", Name(_stranger))), Both(), Rs256(_stranger)));
        yield return ("kid of another key", Sign(Header("RS256", ("kid", Name(_bundled))), Both(), Rs256(_root)));
        yield return ("kid is a path", Sign(Header("HS256", ("kid", "/dev/null")), Both(), Hs256([])));
        yield return ("kid is SQL", Sign(Header("RS256", ("kid", "' OR 1=1 --")), Both(), Rs256(_stranger)));
        yield return ("kid is a number", Sign(Header("RS256", ("kid", 5)), Both(), Rs256(_root)));
        yield return ("kid in lower case", Sign(Header("RS256", ("kid", Name(_root).ToLowerInvariant())), Both(), Rs256(_root)));
        yield return ("kid of an expired certificate", Sign(Header("RS256", ("kid", Name(_old))), Both(), Rs256(_old)));
        yield return ("kid of an issued certificate", Sign(Header("RS256", ("kid", Name(_bundled))), Both(), Rs256(_bundled)));
        foreach (var key in new AsymmetricAlgorithm[] { _root, _p256 })
        {
            var rsa = key as RSA;
            yield return ($"RFC 7638 kid {key.SignatureAlgorithm}", Sign(
                Header(rsa is null ? "ES256" : "RS256", ("kid", Thumbprint(key))), Both(),
                rsa is null ? Es(_p256, HashAlgorithmName.SHA256) : Rs256(rsa)));
        }
        // Which key: addresses.
        foreach (var name in new[] { "jku", "x5u" })
        {
            yield return ($"{name} alone", Sign(Header("RS256", (name, "http://127.0.0.1:9/keys")), Both(), Rs256(_stranger)));
            yield return ($"{name} and kid", Root((name, "http://127.0.0.1:9/keys"), ("kid", Name(_root))));
        }
        foreach (var row in ByJwk().Concat(ByChain()))
            yield return row;
    }

    private IEnumerable<(string What, string Token)> ByJwk()
    {
        yield return ("jwk", Sign(Header("RS256", ("jwk", Jwk(_root, Name(_root)))), Both(), Rs256(_root)));
        yield return ("jwk EC", Sign(Header("ES256", ("jwk", Jwk(_p256, Name(_p256)))), Both(), Es(_p256, HashAlgorithmName.SHA256)));
        yield return ("jwk without kid", Sign(Header("RS256", ("jwk", Jwk(_root))), Both(), Rs256(_root)));
        yield return ("jwk with a false kid", Sign(Header("RS256", ("jwk", Jwk(_root, Name(_bundled)))), Both(), Rs256(_root)));
        yield return ("jwk of a stranger", Sign(Header("RS256", ("jwk", Jwk(_stranger, Name(_stranger)))), Both(), Rs256(_stranger)));
        yield return ("jwk of a stranger with our kid", Sign(
            Header("RS256", ("jwk", Jwk(_stranger, Name(_root)))), Both(), Rs256(_stranger)));
        yield return ("jwk of a stranger and our kid beside it", Sign(
            Header("RS256", ("jwk", Jwk(_stranger, Name(_stranger))), ("kid", Name(_root))), Both(), Rs256(_root)));
        yield return ("jwk is text", Sign(Header("RS256", ("jwk", "x")), Both(), Rs256(_root)));
        yield return ("jwk is empty", Sign(Header("RS256", ("jwk", new JsonObject())), Both(), Rs256(_root)));
        yield return ("jwk is a secret", Sign(
            Header("HS256", ("jwk", new JsonObject { ["kty"] = "oct", ["k"] = "AAAA" })), Both(), Hs256([0, 0, 0])));
        var withChain = Jwk(_root, Name(_root));
        withChain["x5c"] = X5c(_rootCertificate);
        yield return ("jwk with its certificate", Sign(Header("RS256", ("jwk", withChain)), Both(), Rs256(_root)));
        var withOther = Jwk(_stranger, Name(_stranger));
        withOther["x5c"] = X5c(_rootCertificate);
        yield return ("jwk with another certificate", Sign(Header("RS256", ("jwk", withOther)), Both(), Rs256(_stranger)));
    }

    private IEnumerable<(string What, string Token)> ByChain()
    {
        using var leaf = Issue(_rootCertificate, _root, "leaf", _leaf);
        using var ended = Issue(_rootCertificate, _root, "ended", _leaf, endsInDays: -1);
        using var middle = Issue(_rootCertificate, _root, "middle", _intermediate, isAuthority: true);
        using var below = Issue(middle, _intermediate, "below", _leaf);
        using var notAuthority = Issue(_rootCertificate, _root, "not an authority", _intermediate);
        using var belowIt = Issue(notAuthority, _intermediate, "below", _leaf);
        using var underBundled = Issue(_bundledCertificate, _bundled, "leaf", _leaf);
        using var strange = SelfSigned("stranger", _stranger, isAuthority: true);
        // Names and numbers of ours, and the stranger's key.
        using var sameNames = Issue(_rootCertificate, _stranger, "root", _stranger, true, 30, _rootCertificate.SerialNumberBytes.ToArray());
        using var falseUnderRoot = Issue(_rootCertificate, _stranger, "leaf", _leaf);
        using var falseUnderBundled = Issue(_bundledCertificate, _stranger, "leaf", _leaf);
        using var sameAsBundled = Issue(
            _bundledCertificate, _stranger, "x", _stranger, true, 30, _bundledCertificate.SerialNumberBytes.ToArray());
        (string, RSA, X509Certificate2[])[] chains =
        [
            ("a leaf", _leaf, [leaf]),
            ("a leaf and its root", _leaf, [leaf, _rootCertificate]),
            ("a leaf through another", _leaf, [below, middle]),
            ("a leaf, the others in any order", _leaf, [below, strange, middle]),
            ("a leaf whose issuer is missing", _leaf, [below]),
            ("a leaf of no authority", _leaf, [belowIt, notAuthority]),
            ("an ended leaf", _leaf, [ended]),
            ("the root itself", _root, [_rootCertificate]),
            ("a leaf of an issued certificate", _leaf, [underBundled]),
            ("an issued certificate of the bundle", _bundled, [_bundledCertificate]),
            ("a stranger", _stranger, [strange]),
            ("a stranger, and the root", _stranger, [strange, _rootCertificate]),
            ("the root's name and number", _stranger, [sameNames]),
            ("an issued certificate's name and number", _stranger, [sameAsBundled]),
            ("a false leaf of the root", _leaf, [falseUnderRoot]),
            ("a false leaf of an issued certificate", _leaf, [falseUnderBundled]),
            ("a leaf with the wrong key", _stranger, [leaf]),
            ("nothing", _root, []),
        ];
        foreach (var (what, key, chain) in chains)
            yield return ($"x5c: {what}", Sign(Header("RS256", ("x5c", X5c(chain))), Both(), Rs256(key)));
        yield return ("x5c: EC itself", Sign(Header("ES256", ("x5c", X5c(_p256Certificate))), Both(), Es(_p256, HashAlgorithmName.SHA256)));
        yield return ("x5c: a stranger, and our kid", Sign(
            Header("RS256", ("x5c", X5c(strange)), ("kid", Name(_root))), Both(), Rs256(_root)));
        yield return ("x5c: Base64Url", Sign(
            Header("RS256", ("x5c", new JsonArray(Base64UrlEncoder.Encode(leaf.RawData)))), Both(), Rs256(_leaf)));
        yield return ("x5c: rubbish", Sign(Header("RS256", ("x5c", new JsonArray("AAAA"))), Both(), Rs256(_leaf)));
        yield return ("x5c: text", Sign(Header("RS256", ("x5c", Convert.ToBase64String(leaf.RawData))), Both(), Rs256(_leaf)));
    }

    private string Root(params (string Name, JsonNode Value)[] more) => Sign(Header("RS256", more), Both(), Rs256(_root));
}
