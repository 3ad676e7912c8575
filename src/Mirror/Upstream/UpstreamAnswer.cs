namespace Mirror.Upstream;

/// <summary>What an upstream told.</summary>
/// <param name="IsStale">
/// Whether the upstream is a mirror such as this one, and could not ask its own upstream: it says <c>X-Cache: stale</c>. Then no
/// registry has confirmed the value lately.
/// </param>
public readonly record struct UpstreamAnswer<T>(T Value, bool IsStale);
