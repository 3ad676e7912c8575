namespace Mirror.Configuration;

/// <summary>Section <c>hosted</c>: the repositories that are pushed to here and never looked up upstream.</summary>
public sealed class HostedOptions
{
    /// <summary>Patterns of repository names: <c>*</c> stands for anything within one component, <c>**</c> for any number of components.
    /// Default <c>local/**</c>. Without an upstream every name is hosted, whatever stands here.</summary>
    public string[] Repositories { get; set; } = ["local/**"];
}
