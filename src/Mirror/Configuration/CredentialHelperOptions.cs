namespace Mirror.Configuration;

/// <summary>Section <c>proxy.exec</c>: a Docker credential helper that is run for the upstream's credentials.</summary>
public sealed class CredentialHelperOptions
{
    /// <summary>The shell command, <c>docker-credential-ecr-login</c> for one. Required.</summary>
    public string Command { get; set; } = "";

    /// <summary>How long an answer is used; zero asks for every request, null (the default) asks once and for good.</summary>
    public TimeSpan? Lifetime { get; set; }
}
