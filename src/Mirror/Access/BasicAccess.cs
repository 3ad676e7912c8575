using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Configuration;

namespace Mirror.Access;

/// <summary>
/// <c>auth.htpasswd</c>: whoever has a password may do everything (RFC 7617). What was verified is remembered for a minute under a keyed hash of
/// user, password and the file's own entry, so that a pull of fifty requests costs one bcrypt, and a changed entry counts at once.
/// </summary>
public sealed class BasicAccess(HtpasswdOptions options) : IDisposable
{
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(1);
    private const int MaxRemembered = 10_000;

    private readonly Htpasswd _file = new(options.Path);
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly MemoryCache _verified = new(new MemoryCacheOptions { SizeLimit = MaxRemembered });
    // Wrong passwords must not take every processor.
    private readonly SemaphoreSlim _checking = new(Math.Max(1, Environment.ProcessorCount / 2));

    /// <summary>What a client is told that has not said who it is.</summary>
    public string Challenge { get; } = $"Basic realm=\"{options.Realm.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";

    /// <summary>The user a request comes from; null where it names none, or the password is wrong.</summary>
    /// <param name="authorization">The request's <c>Authorization</c> header.</param>
    public async ValueTask<string?> UserAsync(string? authorization, CancellationToken cancellationToken)
    {
        if (Read(authorization) is not var (user, password))
            return null;
        // An unknown user takes as long as a wrong password, so that the time tells nobody which users there are.
        var known = _file.HashOf(user);
        var hash = known ?? "$2b$10$abcdefghijklmnopqrstuu37RkUr9H1EPO4Rc63Ngz60LSVREthYa";
        var remembered = Convert.ToHexString(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes($"{user}\0{hash}\0{password}")));
        if (known is not null && _verified.TryGetValue(remembered, out _))
            return user;
        await _checking.WaitAsync(cancellationToken);
        try
        {
            if (!await Task.Run(() => Bcrypt.Verify(password, hash), CancellationToken.None) || known is null)
                return null;
        }
        finally
        {
            _checking.Release();
        }
        _verified.Set(remembered, true, new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = Remembered });
        return user;
    }

    public void Dispose()
    {
        _verified.Dispose();
        _checking.Dispose();
    }

    private static (string User, string Password)? Read(string? authorization)
    {
        if (!AuthenticationHeaderValue.TryParse(authorization, out var header) || !header.Scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase))
            return null;
        Span<byte> decoded = new byte[authorization!.Length];
        if (!Convert.TryFromBase64String(header.Parameter ?? "", decoded, out var length))
            return null;
        var text = Encoding.UTF8.GetString(decoded[..length]);
        return text.IndexOf(':') is > 0 and var colon ? (text[..colon], text[(colon + 1)..]) : null;
    }
}
