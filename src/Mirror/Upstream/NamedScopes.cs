using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

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

    /// <summary>Whether a token of the scope that a refusal names is worth a try.</summary>
    /// <param name="named">Null if it names none.</param>
    public bool IsWorthATry(string usual, [NotNullWhen(true)] string? named) =>
        named is { Length: <= MaxLength } && named != Of(usual) && Array.TrueForAll(named.Split(' '), IsPull);

    /// <summary>Remembers a named scope, because the registry accepted a token of it.</summary>
    public void Learn(string usual, string named)
    {
        if (_named.Count >= MaxScopes)
            _named.Clear();
        _named[usual] = named;
    }

    /// <summary>Goes back to the usual scope, because the registry refused a token of the named one.</summary>
    public void Forget(string usual) => _named.TryRemove(usual, out _);

    // The mirror asks for no right but to pull.
    private static bool IsPull(string scope) =>
        scope.StartsWith("repository", StringComparison.Ordinal) && scope.EndsWith(":pull", StringComparison.Ordinal);
}
