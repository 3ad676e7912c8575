using System.Net.Http.Headers;
using Mirror.Configuration;

namespace Mirror.Upstream;

/// <summary>A user name and a password or access token. <see cref="ToString"/> shows neither.</summary>
public sealed class Credential(string username, string secret)
{
    public string Username => username;

    public string Secret => secret;

    /// <summary>The credential as an <c>Authorization</c> header of the scheme Basic.</summary>
    public AuthenticationHeaderValue ToHeader() => BasicHeader.Of(username, secret);

    public override string ToString() => "(a credential)";
}
