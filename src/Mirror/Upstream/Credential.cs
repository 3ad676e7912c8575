namespace Mirror.Upstream;

/// <summary>A user name and a password or access token. Its text shows neither.</summary>
public sealed class Credential(string username, string secret)
{
    public string Username => username;

    public string Secret => secret;

    public override string ToString() => "(a credential)";
}
