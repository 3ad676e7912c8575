namespace Mirror.Configuration;

/// <summary>Section <c>auth</c>: how the server learns who a client is. Without it, every client may do everything.</summary>
public sealed class AuthOptions
{
    /// <summary>Null: clients need no password.</summary>
    public HtpasswdOptions? Htpasswd { get; set; }

    /// <summary>Null: the tokens of no token server are known.</summary>
    public TokenOptions? Token { get; set; }

    /// <summary>A PEM file with an RSA public key, PKCS#1 or SPKI: a token that it verifies lets its client do everything. Null: none
    /// does.</summary>
    [ConfigurationKeyName("privileged_key")]
    public string? PrivilegedKey { get; set; }

    /// <summary>Null: no identity token is a password.</summary>
    public OidcOptions? Oidc { get; set; }

    /// <summary>Null: clients need more than any <c>Authorization</c> header.</summary>
    public SillyOptions? Silly { get; set; }
}

/// <summary>Section <c>auth.htpasswd</c>: each user with a password may do everything.</summary>
public sealed class HtpasswdOptions
{
    /// <summary>The name that clients show when they ask for a password.</summary>
    public string Realm { get; set; } = "";

    /// <summary>A file that <c>htpasswd -B</c> writes (bcrypt only). The server reads it again when it changes.</summary>
    public string Path { get; set; } = "";
}

/// <summary>Section <c>auth.token</c>: a token server says what a client may do.</summary>
public sealed class TokenOptions
{
    /// <summary>The URL at which clients ask for tokens.</summary>
    public string Realm { get; set; } = "";

    /// <summary>The name of this registry at the token server: the audience of its tokens.</summary>
    public string Service { get; set; } = "";

    /// <summary>The name of the token server in its tokens.</summary>
    public string Issuer { get; set; } = "";

    /// <summary>A PEM file of certificates: their keys sign tokens, or the keys of certificates that they issued do.</summary>
    public string? RootCertBundle { get; set; }

    /// <summary>A file with a JSON Web Key Set (RFC 7517) of more keys that sign tokens.</summary>
    public string? Jwks { get; set; }

    /// <summary>Whether clients ask for tokens at the host of this registry instead of <see cref="Realm"/>.</summary>
    public bool AutoRedirect { get; set; }

    /// <summary>The path at that host.</summary>
    public string AutoRedirectPath { get; set; } = "/auth/token";

    /// <summary>The algorithms (RFC 7518, 3.1) of signatures that are verified. Empty: all that public keys can verify.</summary>
    public string[] SigningAlgorithms { get; set; } = [];
}

/// <summary>Section <c>auth.oidc</c>: the identity token of a CI job is the password of the user <c>oidc</c>.</summary>
public sealed class OidcOptions
{
    /// <summary>The URL of the OpenID provider, as its tokens name it in <c>iss</c>.</summary>
    public string Issuer { get; set; } = "";

    /// <summary>The name of this registry in <c>aud</c> of the tokens.</summary>
    public string Audience { get; set; } = "";
}

/// <summary>Section <c>auth.silly</c>: every client with any <c>Authorization</c> header may do everything. For tests.</summary>
public sealed class SillyOptions
{
    /// <summary>The URL in the challenge.</summary>
    public string Realm { get; set; } = "";

    /// <summary>The name of this registry in the challenge.</summary>
    public string Service { get; set; } = "";
}
