namespace Mirror.Configuration;

/// <summary>Section <c>auth</c>: who may use the registry. Without it, every client may.</summary>
public sealed class AuthOptions
{
    /// <summary>Null: clients need no password.</summary>
    public HtpasswdOptions? Htpasswd { get; set; }
}

/// <summary>Section <c>auth.htpasswd</c>: each user with a password may do everything.</summary>
public sealed class HtpasswdOptions
{
    /// <summary>The name that clients show when they ask for a password.</summary>
    public string Realm { get; set; } = "";

    /// <summary>A file that <c>htpasswd -B</c> writes (bcrypt only). The server reads it again when it changes.</summary>
    public string Path { get; set; } = "";
}
