using Mirror.Telemetry;

namespace Mirror.Repositories;

/// <summary>An answer of a repository.</summary>
/// <param name="CacheStatus">Where a mirrored repository got it from; null for a hosted repository.</param>
/// <param name="Stale">Why it could not be checked with upstream; null where it was checked, or need not be.</param>
/// <param name="Held">Why a tag names another manifest than at upstream; null where it does not.</param>
public readonly record struct Answer<T>(T Value, CacheStatus? CacheStatus, string? Stale = null, string? Held = null);
