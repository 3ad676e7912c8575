using Mirror.Storage.Buckets.OpenStack;
using Mirror.Storage.Buckets.Swift;

namespace Mirror.Storage.Buckets.Glance;

/// <summary>
/// Section <c>storage.glance</c>: each content is an image of OpenStack Glance. Everything else, such as tags, is in a folder, or in a
/// container of Swift with the same log-in.
/// </summary>
public sealed class GlanceOptions : OpenStackOptions
{
    /// <summary>An image is sent whole: Glance takes no parts.</summary>
    public GlanceOptions() => base.ChunkSize = long.MaxValue;

    public override string Location => $"glance with {(Container is null ? RootDirectory : NamesInSwift().Location)}";

    public override string Identity => $"{AuthUrl} {Endpoint} {Tenant}{TenantId} {Username} {Location}";

    public override string? NamesFolder => Container is null ? RootDirectory : null;

    /// <summary>The address of Glance. Default: the one in Keystone's catalogue. Without <c>authurl</c> it is required.</summary>
    public string? Endpoint { get; set; }

    /// <summary>The folder for everything but content, unless <see cref="Container"/> is set.</summary>
    public string RootDirectory { get; set; } = "/var/lib/registry";

    /// <summary>The container of Swift for everything but content. Null: it is in a folder.</summary>
    public string? Container { get; set; }

    /// <summary>The folder of all names in the container. Default: none.</summary>
    public string Prefix { get; set; } = "";

    /// <summary>No setting: see the constructor.</summary>
    public new long ChunkSize => base.ChunkSize;

    /// <summary>The settings of the container.</summary>
    internal SwiftOptions NamesInSwift() => new()
    {
        Username = Username,
        Password = Password,
        AuthUrl = AuthUrl,
        AuthVersion = AuthVersion,
        Tenant = Tenant,
        TenantId = TenantId,
        Domain = Domain,
        DomainId = DomainId,
        TenantDomain = TenantDomain,
        TenantDomainId = TenantDomainId,
        TrustId = TrustId,
        Region = Region,
        EndpointType = EndpointType,
        InsecureSkipVerify = InsecureSkipVerify,
        Container = Container ?? "",
        Prefix = Prefix,
    };
}
