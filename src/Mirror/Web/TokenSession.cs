using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Mirror.Access;
using Mirror.Registry;

namespace Mirror.Web;

/// <summary>
/// The login of a user at the token server of <c>auth.token</c>. It asks for the rights on a repository when a page needs them, and again
/// before they end, as docker does. The password is sealed: only the browser's cookie has the key.
/// </summary>
/// <param name="key">32 bytes, which the session does not keep.</param>
internal sealed class TokenSession(string name, string password, byte[] key, TokenLogins server, IAccess access, TimeProvider time)
{
    // Scopes are in the address of a request, which servers limit to 8 KB and less.
    private const int MaxScopes = 50;
    private const int MaxScopeText = 4000;
    private const int MaxGrants = 1000;

    // What the token server takes from a user holds here after this time, however long its tokens last.
    private static readonly TimeSpan MaxAge = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Early = TimeSpan.FromSeconds(10);

    private readonly byte[] _password = Seal(password, key);
    private readonly ConcurrentDictionary<string, Grant> _grants = new();
    private bool _isAccepted;

    /// <summary>The user with a token that was asked for with each of these scopes. Of a scope that the token server refuses, the user
    /// has nothing.</summary>
    /// <param name="key">The key of the constructor.</param>
    /// <param name="since">
    /// When the request began that needs this. What the token server gave after that counts for the whole request: by a clock that is ahead
    /// of the token server's, its tokens end as they come.
    /// </param>
    /// <returns>Null where the token server does not accept the login any more, or gives no token that counts here.</returns>
    /// <exception cref="RegistryException">The token server cannot be asked.</exception>
    public async ValueTask<IReadOnlyDictionary<string, AccessUser>?> UsersAsync(
        byte[] key, IReadOnlyCollection<string> scopes, DateTimeOffset since, CancellationToken cancellationToken)
    {
        var users = Known(scopes, renew: true, since);
        var asked = new Asked(key, users);
        foreach (var chunk in Chunks(scopes.Where(scope => !users.ContainsKey(scope)).ToList()))
            if (!await AskAsync(asked, chunk, cancellationToken))
                return null;
        return users;
    }

    private async ValueTask<bool> AskAsync(Asked asked, List<string> scopes, CancellationToken stop)
    {
        var users = asked.Users;
        AccessUser? user;
        try
        {
            if ((user = await UserAsync(asked.Key, scopes, stop)) is null)
            {
                // Most token servers give a token with less than was asked for. Some refuse, as they do with a wrong password: without a
                // scope, as at docker's login, the answer is about the password alone.
                if ((asked.Login ??= await UserAsync(asked.Key, [], stop)) is not { } login)
                    return false;
                if (scopes.Count > 1)
                    return await AskAsync(asked, scopes[..(scopes.Count / 2)], stop)
                        && await AskAsync(asked, scopes[(scopes.Count / 2)..], stop);
                user = login;
            }
        }
        // Another key than that of this session.
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
        catch (Exception failure) when (failure is HttpRequestException or TooManyLoginsException)
        {
            var old = Known(scopes, renew: false, DateTimeOffset.MaxValue);
            if (old.Count < scopes.Count && failure is TooManyLoginsException)
                throw;
            if (old.Count < scopes.Count)
                throw new RegistryException(RegistryError.Unavailable, $"the token server (auth.token.realm): {failure.Message}")
                {
                    Advice = "check that the token server at auth.token.realm answers, and that this server reaches it",
                };
            foreach (var (scope, known) in old)
                users[scope] = known;
            return true;
        }
        var now = time.GetUtcNow();
        if (_grants.Count + scopes.Count > MaxGrants)
            foreach (var (scope, grant) in _grants)
                if (now >= grant.End || now >= grant.At + MaxAge)
                    _grants.TryRemove(scope, out _);
        if (_grants.Count + scopes.Count > MaxGrants)
            _grants.Clear();
        foreach (var scope in scopes)
            (_grants[scope], users[scope]) = (new(user, now, user.Until ?? now + MaxAge), user);
        return true;
    }

    // The users of scopes whose grants have not ended, and (with renew) are not to be asked for again.
    private Dictionary<string, AccessUser> Known(IEnumerable<string> scopes, bool renew, DateTimeOffset since)
    {
        var now = time.GetUtcNow();
        Dictionary<string, AccessUser> users = [];
        foreach (var scope in scopes)
            if (_grants.TryGetValue(scope, out var grant)
                && (renew ? now < grant.At + MaxAge && (grant.At >= since || now < grant.End - Early) : now < grant.End))
                users[scope] = grant.User;
        return users;
    }

    // The user of a token for these scopes; null where the token server gives none that counts here. The token is read as that of any
    // request; nothing else of the page's request counts.
    private async ValueTask<AccessUser?> UserAsync(byte[] key, List<string> scopes, CancellationToken stop)
    {
        if (await server.AskAsync(name, Open(key), scopes, isRenewal: _isAccepted, stop) is not { } bearer)
            return null;
        _isAccepted = true;
        var request = new DefaultHttpContext();
        request.Request.Headers.Authorization = $"Bearer {bearer}";
        return await access.AuthenticateAsync(request, stop) is { Name.Length: > 0 } user ? user : null;
    }

    private static IEnumerable<List<string>> Chunks(IEnumerable<string> scopes)
    {
        List<string> chunk = [];
        var length = 0;
        foreach (var scope in scopes)
        {
            if (chunk.Count == MaxScopes || chunk.Count > 0 && length + scope.Length > MaxScopeText)
            {
                yield return chunk;
                (chunk, length) = ([], 0);
            }
            chunk.Add(scope);
            length += scope.Length;
        }
        if (chunk.Count > 0)
            yield return chunk;
    }

    private static byte[] Seal(string password, byte[] key)
    {
        var plain = Encoding.UTF8.GetBytes(password);
        var (nonce, cipher, tag) = (RandomNumberGenerator.GetBytes(12), new byte[plain.Length], new byte[16]);
        using var aes = new AesGcm(key, tag.Length);
        aes.Encrypt(nonce, plain, cipher, tag);
        return [.. nonce, .. tag, .. cipher];
    }

    private string Open(byte[] key)
    {
        var plain = new byte[_password.Length - 28];
        using var aes = new AesGcm(key, 16);
        aes.Decrypt(_password.AsSpan(0, 12), _password.AsSpan(28), _password.AsSpan(12, 16), plain);
        return Encoding.UTF8.GetString(plain);
    }

    // What one call asks for. Login is the user of a token without a scope, once that was asked for.
    private sealed record Asked(byte[] Key, Dictionary<string, AccessUser> Users)
    {
        public AccessUser? Login { get; set; }
    }

    private sealed record Grant(AccessUser User, DateTimeOffset At, DateTimeOffset End);
}
