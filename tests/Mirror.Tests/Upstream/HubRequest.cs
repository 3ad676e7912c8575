namespace Mirror.Tests.Upstream;

/// <summary>What a request to the hub is about.</summary>
public enum Asked
{
    Ping,
    Token,
    Manifest,
    /// <summary>A blob at the registry itself.</summary>
    Blob,
    /// <summary>The bytes of a blob, at the CDN.</summary>
    BlobBytes,
    Tags,
    Other,
}

/// <summary>One request as it arrived, and the status it was given.</summary>
public sealed record HubRequest(
    string Origin, Asked Asked, string Method, string Path, string Query,
    string? Authorization, string? Range, string? Accept, string? AcceptEncoding)
{
    /// <summary>0 until answered, and for ever where the connection was cut instead.</summary>
    public int Status { get; internal set; }

    public override string ToString() => $"{Origin} {Method} {Path}{Query} {(Range is null ? "" : $"[{Range}] ")}-> {Status}";
}
