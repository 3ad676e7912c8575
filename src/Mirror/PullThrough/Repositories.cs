using System.Text.RegularExpressions;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>
/// Who owns a name: repositories that match <c>hosted.repositories</c> are pushed to here and never looked up upstream; every other one
/// is mirrored and read-only. Without an upstream every name is hosted.
/// </summary>
public sealed class Repositories(HostedOptions hosted, IContentStore content, IReferenceStore references, Manifests manifests, Mirroring? mirroring)
{
    private readonly Regex[] _hosted = [.. hosted.Repositories.Select(Pattern)];

    /// <summary>Whether a name may be pushed to.</summary>
    public bool IsHosted(RepositoryName name) => mirroring is null || Array.Exists(_hosted, pattern => pattern.IsMatch(name.ToString()));

    /// <summary>The repository a client means. On Docker Hub a bare name means <c>library/&lt;name&gt;</c>.</summary>
    public IRepository this[RepositoryName name]
    {
        get
        {
            if (IsHosted(name))
                return new HostedRepository(name, content, references, manifests);
            if (mirroring!.Upstream.Origin.IsDockerHub && !name.ToString().Contains('/') && RepositoryName.TryParse($"library/{name}", out var official))
                name = official;
            return new MirroredRepository(name, mirroring);
        }
    }

    // '**' stands for any number of components, '*' for a part of one.
    private static Regex Pattern(string pattern) =>
        new($@"\A{Regex.Escape(pattern).Replace(@"\*\*", ".*", StringComparison.Ordinal).Replace(@"\*", "[^/]*", StringComparison.Ordinal)}\z",
            RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
}
