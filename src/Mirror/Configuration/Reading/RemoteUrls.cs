namespace Mirror.Configuration.Reading;

/// <summary>Mends the addresses of upstreams.</summary>
internal static class RemoteUrls
{
    /// <summary>Removes <c>v2</c> from the end of each address: the server itself puts it there, and no image would be found below
    /// <c>v2/v2</c>.</summary>
    public static void WithoutVersion(ProxyOptions proxy, Findings findings)
    {
        foreach (var (i, upstream) in proxy.Upstreams.Prepend<UpstreamOptions>(proxy).Index())
        {
            if (upstream.RemoteUrl is not { } url || !url.AbsolutePath.TrimEnd('/').EndsWith("/v2", StringComparison.Ordinal))
                continue;
            upstream.RemoteUrl = new Uri(url.OriginalString.TrimEnd('/')[..^"/v2".Length]);
            var key = i == 0 ? "proxy.remoteurl" : $"proxy.upstreams.{i - 1}.remoteurl";
            findings.Warnings.Add($"{key} is read as {upstream.RemoteUrl.OriginalString}: the v2 at its end is a part of every request");
        }
    }
}
