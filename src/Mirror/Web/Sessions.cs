using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Access;
using Mirror.Admin;

namespace Mirror.Web;

/// <summary>Who logged in by the form.</summary>
/// <param name="Name">The user; empty for the holder of the administrator's token.</param>
internal sealed record Session(string Name)
{
    public bool IsTokenHolder => Name.Length == 0;
}

/// <summary>
/// Sessions of browsers, kept in their cookies and nowhere else: a signed name, with a time and a keyed hash of the password's entry in
/// the file. So a session ends when the user's line changes, and every replica with the same store knows it. The same key signs the tokens
/// of forms.
/// </summary>
internal sealed class Sessions(TokenSecret secret, AdminToken token, TimeProvider time, Htpasswd? users = null) : IDisposable
{
    /// <summary>How long a login lasts.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromHours(12);

    // Names of users have up to 255 bytes.
    private const int MaxCookie = 1024;

    private const int MaxTokenSessions = 1000;

    // Of the cookie of a session with a token server: half names the session, half opens its password.
    private const int HalfCookie = 32;

    private readonly MemoryCache _tokens = new(new MemoryCacheOptions { SizeLimit = MaxTokenSessions });
    private byte[]? _key;

    /// <summary>Begins a session with a token server. It is known to this process only.</summary>
    /// <param name="session">From the key of the session.</param>
    /// <returns>The value of the cookie.</returns>
    public string BeginWithTokens(byte[] key, TokenSession session)
    {
        var id = RandomNumberGenerator.GetHexString(2 * HalfCookie);
        Set();
        // A full cache takes nothing new: those that were not used for the longest go.
        if (!_tokens.TryGetValue(id, out _))
        {
            _tokens.Compact(0.1);
            Set();
        }
        return id + Convert.ToHexString(key);

        void Set() => _tokens.Set(id, session, new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = Life });
    }

    /// <summary>A key for a new session with a token server.</summary>
    public static byte[] NewKey() => RandomNumberGenerator.GetBytes(HalfCookie);

    /// <summary>The session with a token server that a cookie names, and its key; null for another cookie.</summary>
    public (TokenSession Session, byte[] Key)? WithTokens(string? cookie)
    {
        var key = new byte[HalfCookie];
        return cookie is { Length: 4 * HalfCookie } && _tokens.TryGetValue(IdOf(cookie), out TokenSession? session)
            && Convert.FromHexString(cookie.AsSpan(2 * HalfCookie), key, out _, out _) is OperationStatus.Done
            ? (session!, key)
            : null;
    }

    /// <summary>Ends the session with a token server that a cookie names.</summary>
    public void ForgetTokens(string? cookie)
    {
        if (cookie is { Length: 4 * HalfCookie })
            _tokens.Remove(IdOf(cookie));
    }

    private static string IdOf(string cookie) => cookie.AsSpan(0, 2 * HalfCookie).ToString();

    public void Dispose() => _tokens.Dispose();

    /// <summary>Whether users can log in by name and password.</summary>
    public bool HasUsers => users is not null;

    /// <summary>The value of the cookie for a login that succeeded.</summary>
    /// <exception cref="IOException">The key cannot be read.</exception>
    public async ValueTask<string> BeginAsync(Session session, CancellationToken cancellationToken)
    {
        var key = await KeyAsync(cancellationToken);
        var until = (time.GetUtcNow() + Life).ToUnixTimeSeconds();
        var print = Print(session, key) ?? throw new InvalidOperationException("There is no such login.");
        var body = $"{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(session.Name))}.{until}.{Convert.ToHexString(print)}";
        return $"{body}.{Convert.ToHexString(Mac(key, "session", body))}";
    }

    /// <summary>The session of a cookie; null where it is none of ours, its time is over, or its login has changed since.</summary>
    /// <exception cref="IOException">The key cannot be read.</exception>
    public async ValueTask<Session?> ReadAsync(string? cookie, CancellationToken cancellationToken)
    {
        if (cookie is not { Length: > 0 and <= MaxCookie } || cookie.Split('.') is not [var name, var until, var print, var mac])
            return null;
        var key = await KeyAsync(cancellationToken);
        if (!IsHex(mac, Mac(key, "session", $"{name}.{until}.{print}"))
            || !long.TryParse(until, NumberStyles.None, CultureInfo.InvariantCulture, out var end)
            || time.GetUtcNow().ToUnixTimeSeconds() >= end)
            return null;
        // What we have signed has our form.
        var session = new Session(Encoding.UTF8.GetString(Base64Url.DecodeFromChars(name)));
        return Print(session, key) is { } now && IsHex(print, now) ? session : null;
    }

    /// <summary>The token for the forms of one browser.</summary>
    /// <param name="holder">Its session's cookie, or else its user's name.</param>
    public async ValueTask<string> FormTokenAsync(string holder, CancellationToken cancellationToken) =>
        Convert.ToHexString(Mac(await KeyAsync(cancellationToken), "form", holder));

    /// <summary>
    /// Whether a form brought the token. The comparison takes the same time whether many or few of its bytes are correct.
    /// </summary>
    public static bool IsToken(string? given, string expected) =>
        given is not null && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given), Encoding.UTF8.GetBytes(expected));

    private byte[]? Print(Session session, byte[] key) =>
        session.IsTokenHolder ? token.Print(key)
        : users?.HashFor(session.Name, out var isKnown) is { } hash && isKnown ? Mac(key, "login", $"{session.Name}\0{hash}")
        : null;

    // The same secret signs tokens of the registry: one key for each use.
    private async ValueTask<byte[]> KeyAsync(CancellationToken cancellationToken) =>
        _key ??= await secret.DeriveAsync("mirror pages", cancellationToken);

    private static byte[] Mac(byte[] key, string use, string text) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{use}\0{text}"));

    private static bool IsHex(string given, byte[] expected) => IsToken(given, Convert.ToHexString(expected));
}
