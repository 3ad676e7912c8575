using Mirror.Configuration;

namespace Mirror.Fleet;

/// <summary>The address of this process for other replicas, and the addresses of the others.</summary>
public sealed class Replica
{
    public Replica(MirrorOptions options)
    {
        var listen = options.Http.Listen;
        var host = listen.IsAnyInterface ? Environment.MachineName : listen.Host;
        var scheme = options.Http.Tls.IsOn ? Uri.UriSchemeHttps : Uri.UriSchemeHttp;
        Address = options.Fleet.Address is { } given ? new Uri(given) : new UriBuilder(scheme, host, listen.Port).Uri;
    }

    /// <summary>Where the other replicas reach this one.</summary>
    public Uri Address { get; }

    /// <summary>The address of another replica, from its text; null where it is this one's, or no address.</summary>
    public Uri? OtherAt(string text) => Uri.TryCreate(text, UriKind.Absolute, out var address) && address != Address ? address : null;
}
