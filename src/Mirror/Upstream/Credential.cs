using System.Net.Http.Headers;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>A user name and a password or access token. <see cref="ToString"/> shows neither.</summary>
public sealed class Credential(string username, string secret)
{
    public string Username => username;

    public string Secret => secret;

    /// <summary>
    /// Whether the secret is an identity token, which a token service exchanges for a token by a POST (Docker's "credential helper
    /// protocol": the user name is then <c>&lt;token&gt;</c>).
    /// </summary>
    public bool IsIdentityToken => username == "<token>";

    /// <summary>The credential as an <c>Authorization</c> header of the scheme Basic.</summary>
    public AuthenticationHeaderValue ToHeader() => BasicHeader.Of(username, secret);

    public override string ToString() => "(a credential)";
}
