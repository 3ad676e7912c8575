using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Access;

/// <summary>
/// <c>auth.htpasswd</c>: every user of the file may do everything (RFC 7617). A password that was correct is remembered for an hour after
/// its last use, and one that was wrong for a minute, under a keyed hash of the user, the password and the file's entry. So for a correct
/// login the server computes bcrypt once, and the client waits for no other client after that. A changed entry takes effect at once.
/// </summary>
public sealed partial class HtpasswdAccess(Htpasswd file, PasswordChecks checks, LiveOptions live, ILogger<HtpasswdAccess> log)
    : IAccess, IDisposable
{
    private static readonly MemoryCacheEntryOptions Right = new() { Size = 1, SlidingExpiration = TimeSpan.FromHours(1) };
    private static readonly MemoryCacheEntryOptions Wrong = new() { Size = 1, AbsoluteExpirationRelativeToNow = TimeSpan.FromMinutes(1) };
    private const int MaxEntries = 10_000;

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly MemoryCache _right = new(new MemoryCacheOptions { SizeLimit = MaxEntries });
    private readonly MemoryCache _wrong = new(new MemoryCacheOptions { SizeLimit = MaxEntries });

    public async ValueTask<AccessUser?> AuthenticateAsync(HttpContext http, CancellationToken cancellationToken)
    {
        if (BasicHeader.Read(http.Request.Headers.Authorization) is not var (name, password))
            return null;
        if (file.HashFor(name, out var isKnown) is not { } hash)
            return null;
        var entry = Convert.ToHexString(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes($"{name}\0{hash}\0{isKnown}\0{password}")));
        if (_right.TryGetValue(entry, out AccessUser? user))
            return user;
        // A client may send many requests with the same login at once. So each one looks again, when its turn has come, whether another one
        // has checked the login meanwhile.
        if (_wrong.TryGetValue(entry, out _)
            || !await checks.RunAsync(http, name, () => !_wrong.TryGetValue(entry, out _)
                && (_right.TryGetValue(entry, out _) || Verify(name, password, hash, isKnown, entry)), cancellationToken))
            return null;
        return _right.Get<AccessUser>(entry) ?? new AccessUser(name);
    }

    public string? RefusedUser(string authorization) => BasicHeader.Read(authorization)?.User;

    public ValueTask<bool> AuthorizeAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken) => new(user is not null);

    public Refusal Refuse(in RefusedRequest request) =>
        new($"Basic realm={BearerChallenge.Quoted(live.Current.Auth.Htpasswd?.Realm ?? "")}", "a user name and its password are needed");

    public void Dispose()
    {
        _right.Dispose();
        _wrong.Dispose();
    }

    private bool Verify(string name, string password, string hash, bool isKnown, string entry)
    {
        if (!Htpasswd.Verify(password, hash) || !isKnown)
        {
            _wrong.Set(entry, true, Wrong);
            return false;
        }
        if (Encoding.UTF8.GetByteCount(password) is > Htpasswd.MaxPassword and var length)
            LogCut(name, length);
        _right.Set(entry, new AccessUser(name), Right);
        return true;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the password of {User} has {Length} bytes, and bcrypt uses the first 72: any text that begins with these is accepted; " +
        "choose a shorter one")]
    private partial void LogCut(string user, int length);
}
