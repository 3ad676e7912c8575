namespace Mirror.PullThrough.Fills;

/// <summary>Upstream sent other bytes than the requested digest names.</summary>
public sealed class DigestMismatchException(string message) : IOException(message)
{
    /// <summary>What the operator of the mirror can do about it.</summary>
    public const string Advice = "find out which proxy or cache between here and upstream alters content (HTTPS_PROXY, proxy.remoteurl)";
}
