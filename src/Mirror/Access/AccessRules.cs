using Mirror.Configuration;
using Mirror.Repositories;
using Mirror.Storage;

namespace Mirror.Access;

/// <summary><c>access.rules</c>, as they are now: a client may do only what at least one rule allows.</summary>
public sealed class AccessRules
{
    private Compiled _now;

    public AccessRules(LiveOptions live)
    {
        _now = new Compiled(live.Current.Access);
        live.Changed += () => Volatile.Write(ref _now, new Compiled(live.Current.Access));
    }

    /// <summary>The claim that names a user's groups.</summary>
    private const string GroupsClaim = "groups";

    /// <summary>Whether at least one rule is open: about every client, also those without a login.</summary>
    public static bool HasOpenRule(AccessOptions options) => options.Rules.Any(rule => rule.Who.Anonymous);

    /// <summary>Whether a rule asks for a client's certificate.</summary>
    public bool HasCertificateRule => Now.HasCertificateRule;

    /// <summary>The names of the claims that occur in the rules.</summary>
    public IReadOnlyList<string> Claims => Now.Claims;

    /// <summary>Whether any rule is about a certificate with these names.</summary>
    public bool HasRuleFor(IReadOnlyList<string> certificate) => Array.Exists(Now.Rules, rule => rule.IsAboutCertificate(certificate));

    /// <summary>The number of a rule that lets a client do this; null where none does.</summary>
    /// <param name="login">The user; null for a client that is not logged in.</param>
    /// <param name="certificate">The names in the client's certificate; none where it showed none.</param>
    /// <param name="repository">Null for the catalog as a whole: then a rule with this action is enough, whatever its repositories
    /// are.</param>
    /// <param name="loginAllows">Whether the login's own limits, such as the scopes of its token, allow this. Open rules and rules about
    /// certificates ignore this value.</param>
    public int? Find(
        AccessUser? login, IReadOnlyList<string> certificate, RepositoryName? repository, AccessAction action, bool loginAllows)
    {
        var (name, rules) = (repository?.ToString(), Now.Rules);
        for (var i = 0; i < rules.Length; i++)
            if (rules[i] is var rule && rule.Covers(name, action)
                && (rule.IsOpen || rule.IsAboutCertificate(certificate) || loginAllows && login is not null && rule.IsAbout(login)))
                return i;
        return null;
    }

    /// <summary>Whether a rule about every repository lets a client do this. See <see cref="Find"/>.</summary>
    public bool AllowsEverywhere(AccessUser? login, IReadOnlyList<string> certificate, AccessAction action) => Array.Exists(
        Now.Rules, rule => rule.IsEverywhere && rule.Covers(null, action)
            && (rule.IsOpen || rule.IsAboutCertificate(certificate) || login is not null && rule.IsAbout(login)));

    private Compiled Now => Volatile.Read(ref _now);

    private sealed class Compiled(AccessOptions options)
    {
        public Rule[] Rules { get; } = [.. options.Rules.Select(rule => new Rule(rule, options.Groups))];

        public bool HasCertificateRule { get; } = options.Rules.Any(rule => rule.Who.Certificates is not []);

        public IReadOnlyList<string> Claims { get; } =
            [.. options.Rules.SelectMany(rule => rule.Who.Claims.Keys).Append(GroupsClaim).Distinct()];
    }

    private sealed class Rule(RuleOptions options, Dictionary<string, string[]> groups)
    {
        private readonly NamePattern[] _users = Patterns(options.Who.Users);
        private readonly NamePattern[] _groups = Patterns(options.Who.Groups);
        private readonly NamePattern[] _certificates = Patterns(options.Who.Certificates);
        private readonly NamePattern[] _repositories = [.. options.Repositories.Select(pattern => new NamePattern(pattern))];
        private readonly HashSet<AccessAction> _actions = [.. options.Actions.Select(word => Enum.Parse<AccessAction>(word, true))];
        private readonly (string Name, NamePattern[] Values)[] _claims =
            [.. options.Who.Claims.Select(claim => (claim.Key, Patterns(claim.Value)))];

        // The users of each group that the rule names.
        private readonly HashSet<string> _members =
            [.. groups.Where(group => NamePattern.AnyMatches(Patterns(options.Who.Groups), group.Key)).SelectMany(group => group.Value)];

        public bool IsEverywhere => options.Repositories.Contains("**");

        public bool IsOpen => options.Who.Anonymous;

        public bool Covers(string? repository, AccessAction action) =>
            _actions.Contains(action) && (repository is null || NamePattern.AnyMatches(_repositories, repository));

        // A login that is known by its claims alone has no name that a rule could mean.
        public bool IsAbout(AccessUser login) =>
            login.IsKnownByName && IsAboutNameOrGroup(login)
            || _claims.Length > 0
                && Array.TrueForAll(_claims, claim => login.ValuesOf(claim.Name).Any(value => NamePattern.AnyMatches(claim.Values, value)));

        private bool IsAboutNameOrGroup(AccessUser login) =>
            NamePattern.AnyMatches(_users, login.Name)
            || _members.Contains(login.Name)
            || _groups.Length > 0 && login.ValuesOf(GroupsClaim).Any(group => NamePattern.AnyMatches(_groups, group));

        public bool IsAboutCertificate(IReadOnlyList<string> names) =>
            _certificates.Length > 0 && names.Any(name => NamePattern.AnyMatches(_certificates, name));

        // A star alone matches every value, also with slashes.
        private static NamePattern[] Patterns(string[] texts) => [.. texts.Select(text => new NamePattern(text == "*" ? "**" : text))];
    }
}
