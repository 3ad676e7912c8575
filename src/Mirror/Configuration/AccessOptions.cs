namespace Mirror.Configuration;

/// <summary>Section <c>access</c>: what a client may do.</summary>
public sealed class AccessOptions
{
    /// <summary>Groups of users, by name. The claim <c>groups</c> of a token names more.</summary>
    public Dictionary<string, string[]> Groups { get; set; } = [];

    /// <summary>A client may do only what at least one rule allows. Empty: every client that section <c>auth</c> accepts may do
    /// everything.</summary>
    public RuleOptions[] Rules { get; set; } = [];
}

/// <summary>An entry of <c>access.rules</c>: who may do what, and where.</summary>
public sealed class RuleOptions
{
    /// <summary>Whom the rule is about.</summary>
    public WhoOptions Who { get; set; } = new();

    /// <summary>Patterns of repository names, as in <c>hosted.repositories</c>.</summary>
    public string[] Repositories { get; set; } = [];

    /// <summary>Of pull, push, delete, list and admin.</summary>
    public string[] Actions { get; set; } = [];
}

/// <summary>Section <c>who</c> of a rule: a client that one of these keys describes. In patterns <c>*</c> stands for any text without a
/// slash, and <c>**</c>, or <c>*</c> alone, for any text.</summary>
public sealed class WhoOptions
{
    /// <summary>Patterns of user names.</summary>
    public string[] Users { get; set; } = [];

    /// <summary>Patterns of names of groups.</summary>
    public string[] Groups { get; set; } = [];

    /// <summary>Patterns of the values of claims of a token, by claim. Each claim must be there with a value that matches.</summary>
    public Dictionary<string, string[]> Claims { get; set; } = [];

    /// <summary>Patterns of the names in a client's certificate: subject, common name, DNS names, mail addresses, URIs.</summary>
    public string[] Certificates { get; set; } = [];

    /// <summary>Whether the rule is about every client, with or without a login.</summary>
    public bool Anonymous { get; set; }
}
