using static Mirror.Configuration.Reading.DurationRules;
using static Mirror.Configuration.Reading.KnownKeys;
using static Mirror.Configuration.Reading.ValueRules;

namespace Mirror.Configuration.Reading;

/// <summary>The rows of <see cref="KnownKeys"/> that say who may do what.</summary>
internal static class AccessKeys
{
    private static readonly string[] Algorithms =
    [
        "EdDSA", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512",
    ];

    /// <summary>Section <c>auth</c>: who is the client.</summary>
    public static KnownKey Auth => Section("auth",
        Anything("none").NoEffect(),
        Value("privileged_key"),
        Section("oidc", Value("issuer", PublicOrLocalUrl).Required(), Value("audience").Required()).Vital(),
        Section("silly", Value("realm").Required(), Value("service").Required()),
        Section("htpasswd", Value("realm").Required(), Value("path").Required().VitalHere().NotNamed("file")).Vital(),
        Section("token",
            Value("realm", TokenRealm).Required(),
            Value("service", HeaderValue).Required(),
            Value("issuer").Required(),
            Value("rootcertbundle"),
            Value("jwks"),
            Value("autoredirect", TrueOrFalse),
            Value("autoredirectpath", UrlPath),
            List("signingalgorithms", Value("*", OneOf(Algorithms)))).Vital()).Choice().Vital();

    /// <summary>Section <c>hosted</c>: what clients push.</summary>
    public static KnownKey Hosted => Section("hosted",
        List("repositories", Value("*", RepositoryPattern)),
        Value("max_size", Size(min: 1 << 20)),
        Value("max_repository_size", Size(min: 1 << 20)),
        Value("max_user_size", Size(min: 1 << 20)));

    /// <summary>Section <c>http.cors</c>: which pages may read the answers.</summary>
    public static KnownKey Cors => Section("cors",
        List("origins", Value("*", Origin)),
        List("methods", Value("*", Method)),
        List("headers", Value("*", HeaderName)),
        List("expose_headers", Value("*", HeaderName)),
        Value("supports_credentials", TrueOrFalse),
        Value("max_age", UpToADay));

    /// <summary>Section <c>access</c>: what may a client do.</summary>
    public static KnownKey Access => Section("access",
        Map("groups", List("*", Value("*"))),
        List("rules", Section("*",
            Section("who",
                List("users", Value("*")),
                List("groups", Value("*")),
                Map("claims", List("*", Value("*"))),
                List("certificates", Value("*")),
                Value("anonymous", TrueOrFalse)),
            List("repositories", Value("*", RepositoryPattern)),
            List("actions", Value("*", OneOf("pull", "push", "delete", "list", "admin"))))).VitalHere()).Vital();
}
