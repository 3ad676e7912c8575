namespace Mirror.Configuration;

/// <summary>Section <c>hosted</c>: the repositories that clients push to. The server never asks an upstream for them.</summary>
public sealed class HostedOptions
{
    /// <summary>
    /// Patterns of repository names: <c>*</c> matches any text within one component, <c>**</c> any number of components. If there is no
    /// upstream, every repository is hosted. If there is one, and this section, <c>auth</c> and <c>access.rules</c> are missing, no
    /// repository is hosted.
    /// </summary>
    public string[] Repositories { get; set; } = ["local/**"];

    /// <summary>How many bytes clients may push to all repositories together. Null: as many as there is room for.</summary>
    [ConfigurationKeyName("max_size")]
    public long? MaxSize { get; set; }

    /// <summary>How many bytes clients may push to one repository. Null: as many as there is room for.</summary>
    [ConfigurationKeyName("max_repository_size")]
    public long? MaxRepositorySize { get; set; }

    /// <summary>How many bytes one user may push, or one address where clients do not log in. Null: as many as there is room for.</summary>
    [ConfigurationKeyName("max_user_size")]
    public long? MaxUserSize { get; set; }
}
