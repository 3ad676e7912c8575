using Mirror.Storage;

namespace Mirror.Access;

/// <summary>One right in the words of token servers, such as to pull from <c>repository</c> <c>library/nginx</c>.</summary>
public readonly record struct ResourceAction(string Type, string Name, string Action)
{
    private const string Repository = "repository";

    /// <summary>The right for this action alone: unlike <see cref="NeededFor"/>, a push does not include the pull.</summary>
    /// <param name="repository">Null for the catalog as a whole.</param>
    public static ResourceAction Of(RepositoryName? repository, AccessAction action) => action is AccessAction.List
        ? new("registry", "catalog", "*")
        : new(Repository, repository.ToString()!, action switch
        {
            AccessAction.Pull => "pull",
            AccessAction.Push => "push",
            AccessAction.Delete => "delete",
            _ => "admin",
        });

    /// <summary>The rights that a request needs; none for <c>/v2/</c>, which needs a login all the same.</summary>
    /// <param name="from">From <see cref="FromOf"/>: the repository that is read.</param>
    public static IReadOnlyList<ResourceAction> NeededFor(RepositoryName? repository, AccessAction action, string? from)
    {
        if (action is AccessAction.List)
            return [new("registry", "catalog", "*")];
        if (repository?.ToString() is not { } name)
            return [];
        ResourceAction[] own = action switch
        {
            AccessAction.Push => [new(Repository, name, "pull"), new(Repository, name, "push")],
            AccessAction.Delete => [new(Repository, name, "delete")],
            _ => [new(Repository, name, "pull")],
        };
        return from is null ? own : [.. own, new(Repository, from, "pull")];
    }

    /// <summary>The repository that the query's <c>from</c> names; null where it names none.</summary>
    /// <remarks>The first value decides, as it does for a mount. A text that is no repository name is ignored: no right on it exists, and
    /// it could contain characters that the header of a challenge cannot carry.</remarks>
    public static string? FromOf(HttpRequest request) =>
        request.Query["from"] is [{ } from, ..] && RepositoryName.TryParse(from, out _) ? from : null;

    /// <summary>The rights as one <c>scope</c>: each resource once, with its actions; empty for none.</summary>
    public static string ScopeOf(IEnumerable<ResourceAction> rights) => string.Join(' ', rights
        .GroupBy(right => (right.Type, right.Name))
        .Select(resource => $"{resource.Key.Type}:{resource.Key.Name}:{string.Join(',', resource.Select(r => r.Action).Distinct())}"));
}
