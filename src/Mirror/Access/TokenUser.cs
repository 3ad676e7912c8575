using Mirror.Storage;

namespace Mirror.Access;

/// <summary>A user with a token, and what the token allows.</summary>
/// <param name="From">The repository that the request reads from beside its own; null where there is none.</param>
internal sealed record TokenUser(TokenClaims Claims, string? From) : AccessUser(Claims.Sub ?? "")
{
    public override DateTimeOffset? Until => DateTimeOffset.UnixEpoch.AddSeconds(Math.Clamp(Claims.Exp, 0, MaxSeconds));

    // The year 2100: a later end counts as this one, because a date cannot hold every number.
    private const double MaxSeconds = 4_102_444_800;

    /// <summary>Whether the token allows a request. A valid token is enough for <c>/v2/</c>.</summary>
    public bool Allows(RepositoryName? repository, AccessAction action) =>
        ResourceAction.NeededFor(repository, action, From).All(right => Claims.Access?.Any(entry => entry?.Allows(right) == true) == true);

    public override IEnumerable<string>? ClassesOf(RepositoryName repository) => Claims.Access?
        .Where(entry => entry?.Name == repository.ToString())
        .Select(entry => string.IsNullOrEmpty(entry!.Class) ? "image" : entry.Class) ?? [];

    public override IEnumerable<string> ValuesOf(string claim) => Claims.ValuesOf(claim);
}
