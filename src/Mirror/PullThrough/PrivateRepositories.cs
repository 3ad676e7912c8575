using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Configuration;
using Mirror.Limits;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// Decides which clients may read the private repositories of one upstream (<c>proxy.private</c>). Every client may read public
/// repositories. With <c>off</c> no client may read private ones. With <c>client</c> only a client whose own login upstream accepts for the
/// repository may, whether or not the mirror has it stored. The mirror remembers each answer of upstream for <c>proxy.private_ttl</c>, and
/// the refusal of a login for ten seconds.
/// </summary>
public sealed class PrivateRepositories(
    UpstreamOrigin origin, PrivateImages mode, AccessProbe probe, UpstreamDeadlines deadlines, LiveOptions live, TimeProvider time)
    : IDisposable
{
    private const int MaxRepositories = 100_000;
    private const int MaxLogins = 10_000;
    private static readonly TimeSpan WrongLife = TimeSpan.FromSeconds(10);
    // A list shows names and no content, so a name may be shown for longer than its content is served.
    private static readonly TimeSpan ListedLife = TimeSpan.FromDays(1);

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly MemoryCache _known = new(new MemoryCacheOptions { SizeLimit = MaxRepositories });
    private readonly MemoryCache _logins = new(new MemoryCacheOptions { SizeLimit = MaxLogins });
    private readonly SingleFlight<RepositoryName, bool> _publicChecks = new();
    private readonly SingleFlight<(RepositoryName, string), Proof> _loginChecks = new();
    // Limit the requests to upstream that wrong logins and unknown names cause. Each kind has its own limit, so that it does not delay the
    // others.
    private readonly RequestSlots _ofLogins = new();
    private readonly RequestSlots _ofNewNames = new();
    private readonly RequestSlots _ofKnownNames = new();

    /// <summary>The upstream.</summary>
    public UpstreamOrigin Origin => origin;

    /// <summary>Who may read private repositories: <c>client</c> or <c>off</c>.</summary>
    public PrivateImages Mode => mode;

    /// <summary>Whether a client may read a repository.</summary>
    /// <param name="manifest">The manifest that it asks for; null if it asks for something else.</param>
    /// <param name="login">Its login at the upstream; null if it has none.</param>
    /// <returns>Whether it may; and for a private repository, the client whose login the mirror uses at upstream.</returns>
    /// <exception cref="UpstreamException">Upstream gave no answer, and the remembered answer is too old.</exception>
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
            var check = _loginChecks.JoinOrStart(
                (name, hash), _ => _ofLogins.SendAsync(() => ProveAsync(name, manifest, login, hash)), CancellationToken.None);
            proof = (await deadlines.WaitForMissAsync(name, check, cancellationToken)).Result;
        }
        return (proof.Client is not null, proof.Client);
    }

    /// <summary>Whether upstream has lately said that a client may read a repository. This method does not ask upstream.</summary>
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
        var check = _publicChecks.JoinOrStart(
            name, _ => slots.SendAsync(() => LookAsync(name, manifest)), CancellationToken.None);
        if (known is not { IsPublic: true })
            return (await deadlines.WaitForMissAsync(name, check, cancellationToken)).Result;
        try
        {
            return (await deadlines.WaitForRefreshAsync(name, check, cancellationToken)).Result;
        }
        // While upstream is unavailable, or slow for so many requests, the mirror still serves what was public.
        catch (Exception failure) when (failure is UpstreamException or BusyException)
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
        var proof = new Proof(isAccepted ? new ActingClient(origin, name, account, hash) : null, asked);
        // If private_ttl is 0, the answer stays in memory for ten seconds, and IsYoung does not accept it.
        var life = isAccepted && Life > TimeSpan.Zero ? Life : WrongLife;
        _logins.Set((name, hash), proof, new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = life });
        return proof;
    }

    // Use a new account: the old one may have a token from before upstream withdrew the right.
    private Account AccountOf(Credential? login) => new(Account.OfClient, _ => ValueTask.FromResult(login), time);

    private string HashOf(RepositoryName name, Credential login) => Convert.ToHexString(
        HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes($"{name}\0{login.Username}\0{login.Secret}")));

    private sealed record Visibility(bool IsPublic, long At);

    // The client is null if upstream refused the login.
    private sealed record Proof(ActingClient? Client, long At);
}
