namespace Mirror.Configuration;

/// <summary>Section <c>auth</c>: who may use the registry. Without it everybody may.</summary>
public sealed class AuthOptions
{
    /// <summary>Users with passwords; null (the default) asks for none.</summary>
    public HtpasswdOptions? Htpasswd { get; set; }
}

/// <summary>Section <c>auth.htpasswd</c>: whoever has a password may do everything.</summary>
public sealed class HtpasswdOptions
{
    /// <summary>What clients are told they are asked for.</summary>
    public string Realm { get; set; } = "";

    /// <summary>A file of <c>htpasswd -B</c>: bcrypt only. It is read again when it changes.</summary>
    public string Path { get; set; } = "";
}
