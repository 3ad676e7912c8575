namespace Mirror.Configuration;

/// <summary>Section <c>hosted</c>: the repositories that clients push to. The server never asks an upstream for them.</summary>
public sealed class HostedOptions
{
    /// <summary>Patterns of repository names: <c>*</c> matches any text within one component, <c>**</c> any number of components.
    /// If there is no upstream, every repository is hosted. A configuration with an upstream, without <c>auth</c> and without this section
    /// has no patterns: nothing is hosted.</summary>
    public string[] Repositories { get; set; } = ["local/**"];
}
