using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Access;

/// <summary>
/// <c>auth.htpasswd</c>: every user of the file may do everything (RFC 7617). A password that was right is remembered for a minute under a
/// keyed hash of the user, the password and the file's entry. So a pull of fifty requests computes bcrypt once, and a changed entry
/// counts at once.
/// </summary>
public sealed class HtpasswdAccess(Htpasswd file, LiveOptions live) : IAccess, IDisposable
{
    private static readonly TimeSpan CacheTime = TimeSpan.FromMinutes(1);
    private const int MaxEntries = 10_000;

    // Any hash will do: no password is accepted for a user who is not in the file.
    private const string HashOfUnknownUsers = "$2b$10$abcdefghijklmnopqrstuu37RkUr9H1EPO4Rc63Ngz60LSVREthYa";

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly MemoryCache _verified = new(new MemoryCacheOptions { SizeLimit = MaxEntries });
    // Clients that send wrong passwords must not occupy every processor.
    private readonly SemaphoreSlim _checks = new(Math.Max(1, Environment.ProcessorCount / 2));

    public async ValueTask<AccessUser?> AuthenticateAsync(string? authorization, CancellationToken cancellationToken)
    {
        if (Read(authorization) is not var (name, password))
            return null;
        // An unknown user takes as long as a wrong password, so that the time does not tell which users exist.
        var known = file.HashOf(name);
        var hash = known ?? HashOfUnknownUsers;
        var entry = Convert.ToHexString(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes($"{name}\0{hash}\0{password}")));
        if (known is not null && _verified.TryGetValue(entry, out AccessUser? user))
            return user;
        await _checks.WaitAsync(cancellationToken);
        try
        {
            if (!await Task.Run(() => Htpasswd.Verify(password, hash), CancellationToken.None) || known is null)
                return null;
        }
        finally
        {
            _checks.Release();
        }
        var lifetime = new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = CacheTime };
        return _verified.Set(entry, new AccessUser(name), lifetime);
    }

    public string? RefusedUser(string authorization) => Read(authorization)?.User;

    public ValueTask<bool> AuthorizeAsync(
        AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken) => new(user is not null);

    public string? Challenge(AccessUser? user, RepositoryName? repository, AccessAction action)
    {
        var realm = live.Current.Auth.Htpasswd?.Realm.Replace("\\", "\\\\", StringComparison.Ordinal);
        return $"Basic realm=\"{realm?.Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
    }

    public void Dispose()
    {
        _verified.Dispose();
        _checks.Dispose();
    }

    private static (string User, string Password)? Read(string? authorization)
    {
        if (!AuthenticationHeaderValue.TryParse(authorization, out var header)
            || !header.Scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase))
            return null;
        Span<byte> decoded = new byte[authorization!.Length];
        if (!Convert.TryFromBase64String(header.Parameter ?? "", decoded, out var length))
            return null;
        var text = Encoding.UTF8.GetString(decoded[..length]);
        return text.IndexOf(':') is > 0 and var colon ? (text[..colon], text[(colon + 1)..]) : null;
    }
}
