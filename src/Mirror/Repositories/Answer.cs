using Mirror.Telemetry;

namespace Mirror.Repositories;

/// <summary>What a repository answers, and how it came by it.</summary>
/// <param name="CacheStatus">How the mirror came by it; null for a hosted repository, which has no other place to look.</param>
/// <param name="Stale">Why what is served could not be checked with upstream; null where it was, or need not be.</param>
public readonly record struct Answer<T>(T Value, CacheStatus? CacheStatus, string? Stale = null);
