using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// Which clients may read the repositories of one upstream that the upstream does not show to every user (<c>proxy.private</c>). What is
/// public is for all. What is private is for no client (<c>off</c>), or for those whose own login upstream accepts for the repository
/// (<c>client</c>), whether or not the mirror has it stored. Upstream is asked once for <c>proxy.private_ttl</c>.
/// </summary>
public sealed class PrivateRepositories(
    UpstreamOrigin origin, PrivateImages mode, AccessProbe probe, UpstreamDeadlines deadlines, LiveOptions live, TimeProvider time)
    : IDisposable
{
    private const int MaxRepositories = 100_000;
    private const int MaxLogins = 10_000;
    private static readonly TimeSpan WrongLife = TimeSpan.FromSeconds(10);
    // Names in lists are no content: they may be shown a while longer than content is served.
    private static readonly TimeSpan ListedLife = TimeSpan.FromDays(1);

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly MemoryCache _known = new(new MemoryCacheOptions { SizeLimit = MaxRepositories });
    private readonly MemoryCache _logins = new(new MemoryCacheOptions { SizeLimit = MaxLogins });
    private readonly SingleFlight<RepositoryName, bool> _publicQuestions = new();
    private readonly SingleFlight<(RepositoryName, string), Proof> _loginQuestions = new();
    // Wrong logins and names that do not exist must not become as many requests upstream, and must not keep the others waiting.
    private readonly QuestionSlots _ofLogins = new();
    private readonly QuestionSlots _ofNewNames = new();
    private readonly QuestionSlots _ofKnownNames = new();

    /// <summary>The upstream.</summary>
    public UpstreamOrigin Origin => origin;

    /// <summary>Who may read private repositories: <c>client</c> or <c>off</c>.</summary>
    public PrivateImages Mode => mode;

    /// <summary>Whether a client may read a repository.</summary>
    /// <param name="manifest">The manifest that it asks for; null if it asks for something else.</param>
    /// <param name="login">Its login at the upstream; null if it has none.</param>
    /// <returns>Whether it may; and for a private repository, the client as which upstream is asked.</returns>
    /// <exception cref="UpstreamException">Upstream gave no answer, and there is none that is young enough.</exception>
    public async ValueTask<(bool May, ActingClient? As)> AskAsync(
        RepositoryName name, Reference? manifest, Credential? login, CancellationToken cancellationToken)
    {
        var hash = mode is PrivateImages.Client && login is not null ? HashOf(name, login) : null;
        var proof = hash is null ? null : _logins.Get<Proof>((name, hash));
        if (proof is { Client: { } accepted } && IsYoung(proof))
            return (true, accepted);
        if (await IsPublicAsync(name, manifest, cancellationToken))
            return (true, null);
        if (hash is null || login is null)
            return (false, null);
        if (proof is null || !IsYoung(proof))
        {
            var question = _loginQuestions.JoinOrStart(
                (name, hash), _ => _ofLogins.AskAsync(() => ProveAsync(name, manifest, login, hash)), CancellationToken.None);
            proof = (await deadlines.WaitForMissAsync(name, question, cancellationToken)).Result;
        }
        return (proof.Client is not null, proof.Client);
    }

    /// <summary>Whether a client may read a repository, as far as upstream has said so lately. Upstream is not asked.</summary>
    /// <inheritdoc cref="AskAsync"/>
    public bool IsKnownToBeReadable(RepositoryName name, Credential? login) =>
        _known.Get<Visibility>(name) is { IsPublic: true } known && time.GetElapsedTime(known.At) < ListedLife
        || mode is PrivateImages.Client && login is not null
            && _logins.Get<Proof>((name, HashOf(name, login))) is { Client: not null } proof && IsYoung(proof);

    public void Dispose()
    {
        _known.Dispose();
        _logins.Dispose();
        _ofLogins.Dispose();
        _ofNewNames.Dispose();
        _ofKnownNames.Dispose();
    }

    private TimeSpan Life => live.Current.Proxy.PrivateTtl;

    private bool IsYoung(Proof proof) =>
        time.GetElapsedTime(proof.At) < (proof.Client is null ? WrongLife : Life) && proof.Client is not { IsRefused: true };

    private async ValueTask<bool> IsPublicAsync(RepositoryName name, Reference? manifest, CancellationToken cancellationToken)
    {
        var known = _known.Get<Visibility>(name);
        if (known is not null && time.GetElapsedTime(known.At) < Life)
            return known.IsPublic;
        var slots = known is { IsPublic: true } ? _ofKnownNames : _ofNewNames;
        var question = _publicQuestions.JoinOrStart(
            name, _ => slots.AskAsync(() => LookAsync(name, manifest)), CancellationToken.None);
        if (known is not { IsPublic: true })
            return (await deadlines.WaitForMissAsync(name, question, cancellationToken)).Result;
        try
        {
            return (await deadlines.WaitForRefreshAsync(name, question, cancellationToken)).Result;
        }
        // What was public is still served while upstream is away.
        catch (UpstreamException)
        {
            return true;
        }
    }

    private async Task<bool> LookAsync(RepositoryName name, Reference? manifest)
    {
        var asked = time.GetTimestamp();
        var isPublic = await probe.IsReadableAsync(name, manifest, AccountOf(null), CancellationToken.None);
        _known.Set(name, new Visibility(isPublic, asked), new MemoryCacheEntryOptions { Size = 1 });
        return isPublic;
    }

    private async Task<Proof> ProveAsync(RepositoryName name, Reference? manifest, Credential login, string hash)
    {
        var asked = time.GetTimestamp();
        var account = AccountOf(login);
        var isAccepted = await probe.IsReadableAsync(name, manifest, account, CancellationToken.None);
        var proof = new Proof(isAccepted ? new ActingClient(origin, name, account) : null, asked);
        // A life of zero is none, and IsYoung says so at the next request.
        var life = isAccepted && Life > TimeSpan.Zero ? Life : WrongLife;
        _logins.Set((name, hash), proof, new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = life });
        return proof;
    }

    // A new account has no token that upstream gave before it withdrew the right.
    private static Account AccountOf(Credential? login) => new(Account.OfClient, _ => ValueTask.FromResult(login));

    private string HashOf(RepositoryName name, Credential login) => Convert.ToHexString(
        HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes($"{name}\0{login.Username}\0{login.Secret}")));

    private sealed record Visibility(bool IsPublic, long At);

    // Without a client, upstream refused the login.
    private sealed record Proof(ActingClient? Client, long At);
}
