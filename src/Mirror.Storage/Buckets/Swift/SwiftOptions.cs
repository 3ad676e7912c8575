using Mirror.Storage.Buckets.OpenStack;

namespace Mirror.Storage.Buckets.Swift;

/// <summary>Section <c>storage.swift</c>: a container of OpenStack Swift, with the keys of <c>registry:2</c>.</summary>
public sealed class SwiftOptions : OpenStackOptions
{
    /// <summary>As in <c>registry:2</c>, segments are longer than the parts of other stores.</summary>
    public SwiftOptions() => ChunkSize = 20 << 20;

    public override string Location => $"swift://{Container}/{Root}";

    public override string Identity => $"{AuthUrl} {Tenant}{TenantId} {Username} {Container} {Root}";

    public string Container { get; set; } = "";

    /// <summary>The folder of all names. Default: none.</summary>
    public string Prefix { get; set; } = "";

    /// <summary>The key that signs temporary URLs. Default: the one that the store has, or else a new one.</summary>
    public string? SecretKey { get; set; }

    /// <summary><see cref="Prefix"/> as names begin with it in <c>registry:2</c>, which keeps a slash at its end and adds
    /// another.</summary>
    internal string Root => $"{Prefix}/".TrimStart('/');
}
