using System.Collections.Concurrent;

namespace Mirror.Upstream;

/// <summary>
/// The scopes that one upstream's challenges name, for requests that it refused with a token of the usual scope. A front that changes the
/// paths of requests may leave the challenge as it is: then the token must be for the name that the repository has behind the front.
/// </summary>
internal sealed class NamedScopes
{
    // Clients choose the usual scopes: they name repositories.
    private const int MaxScopes = 10_000;
    private const int MaxLength = 4096;

    private readonly ConcurrentDictionary<string, string> _named = new();

    /// <summary>The scope to ask a token for, in place of the usual one.</summary>
    public string Of(string usual) => _named.GetValueOrDefault(usual, usual);

    /// <summary>Remembers the scope that a refusal names. Returns whether a token of this scope is worth a try.</summary>
    /// <param name="named">Null if it names none.</param>
    public bool Learn(string usual, string? named)
    {
        if (named is null || named.Length > MaxLength || named == Of(usual) || !Array.TrueForAll(named.Split(' '), IsPull))
            return false;
        if (_named.Count >= MaxScopes)
            _named.Clear();
        _named[usual] = named;
        return true;
    }

    // The mirror asks for no right but to pull.
    private static bool IsPull(string scope) =>
        scope.StartsWith("repository", StringComparison.Ordinal) && scope.EndsWith(":pull", StringComparison.Ordinal);
}
