namespace Mirror.Configuration;

/// <summary>
/// Section <c>validation.manifests.urls</c>: where a layer may say that it can be had elsewhere. Without either list any URL may stand there,
/// as the protocol wants it; <c>registry:3</c> then refuses them all.
/// </summary>
public sealed class UrlValidationOptions
{
    /// <summary>Regular expressions; with any, a URL must match one of them. Default none.</summary>
    public string[] Allow { get; set; } = [];

    /// <summary>Regular expressions; a URL must match none of them. Default none.</summary>
    public string[] Deny { get; set; } = [];
}
