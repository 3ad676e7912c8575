namespace Mirror.Configuration;

/// <summary>Section <c>policy</c>: what may be pushed at all.</summary>
public sealed class PolicyOptions
{
    public RepositoryPolicyOptions Repository { get; set; } = new();
}

/// <summary>Section <c>policy.repository</c>.</summary>
public sealed class RepositoryPolicyOptions
{
    /// <summary>The classes of manifests that may be pushed: <c>image</c>, <c>plugin</c>. Empty: all manifests.</summary>
    public string[] Classes { get; set; } = [];
}
