using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Mirror.Storage;

namespace Mirror.Access;

/// <summary>
/// Reads the login that a client has at an upstream (<c>proxy.private: client</c>) from its request, and issues the tokens of
/// <c>/auth/token</c> that contain such a login. docker and containerd send a login only to the address that a challenge names. A token
/// contains the login, encrypted with a key of the store, so that any replica can read it and no other program can.
/// </summary>
public sealed class ClientLogins(TokenSecret secret, TimeProvider time)
{
    private const string Self = "mirror";
    private const int NonceSize = 12;
    private const int TagSize = 16;
    private const int MaxToken = 16 * 1024;

    private byte[]? _key;

    /// <summary>A token for a client.</summary>
    /// <param name="login">Its login; null for a client without one.</param>
    /// <exception cref="IOException">The key cannot be read.</exception>
    public async ValueTask<string> IssueAsync((string User, string Password)? login, CancellationToken cancellationToken)
    {
        var end = time.GetUtcNow().ToUnixTimeSeconds() + OwnTokens.Lifetime;
        var text = Encoding.UTF8.GetBytes($"{end}\n{login?.User}\n{login?.Password}");
        var token = new byte[NonceSize + text.Length + TagSize];
        RandomNumberGenerator.Fill(token.AsSpan(0, NonceSize));
        using var cipher = new AesGcm(await KeyAsync(cancellationToken), TagSize);
        var (nonce, sealedText, tag) = Parts(token);
        cipher.Encrypt(nonce, text, sealedText, tag);
        return Base64Url.EncodeToString(token);
    }

    /// <summary>The login in a request. <c>IsKnown</c> is false for a request without <c>Authorization</c>, or with a bearer token that is
    /// not ours or has ended: then the client should get a challenge.</summary>
    /// <exception cref="IOException">The key cannot be read.</exception>
    public async ValueTask<(bool IsKnown, (string User, string Password)? Login)> ReadAsync(
        HttpRequest request, CancellationToken cancellationToken)
    {
        if (request.Headers.Authorization is not [{ Length: > 0 } header])
            return (false, null);
        if (BearerChallenge.TokenIn(header) is { } token)
            return await OpenAsync(token, cancellationToken);
        return (true, BasicHeader.Read(header));
    }

    /// <summary>The <c>WWW-Authenticate</c> header that sends a client to <c>/auth/token</c>.</summary>
    /// <param name="baseUrl">As in <see cref="RefusedRequest.BaseUrl"/>.</param>
    /// <param name="repository">The name that the client wants to read; null for none.</param>
    public static string ChallengeOf(string baseUrl, string? repository) => BearerChallenge.Of(
        $"{baseUrl}/auth/token", Self, repository is null ? "" : $"repository:{repository}:pull");

    private async ValueTask<(bool IsKnown, (string User, string Password)? Login)> OpenAsync(
        string text, CancellationToken cancellationToken)
    {
        if (text.Length > MaxToken || !Base64Url.IsValid(text)
            || Base64Url.DecodeFromChars(text) is not { Length: > NonceSize + TagSize } token)
            return (false, null);
        var plain = new byte[token.Length - NonceSize - TagSize];
        using var cipher = new AesGcm(await KeyAsync(cancellationToken), TagSize);
        try
        {
            var (nonce, sealedText, tag) = Parts(token);
            cipher.Decrypt(nonce, sealedText, tag, plain);
        }
        catch (AuthenticationTagMismatchException)
        {
            return (false, null);
        }
        if (Encoding.UTF8.GetString(plain).Split('\n', 3) is not [var end, var user, var password]
            || long.Parse(end, System.Globalization.CultureInfo.InvariantCulture) < time.GetUtcNow().ToUnixTimeSeconds())
            return (false, null);
        return (true, user.Length == 0 ? null : (user, password));
    }

    private static (ArraySegment<byte> Nonce, ArraySegment<byte> Text, ArraySegment<byte> Tag) Parts(byte[] token) => (
        new(token, 0, NonceSize), new(token, NonceSize, token.Length - NonceSize - TagSize), new(token, token.Length - TagSize, TagSize));

    private async ValueTask<byte[]> KeyAsync(CancellationToken cancellationToken) =>
        _key ??= await secret.DeriveAsync("the logins of clients at an upstream", cancellationToken);
}
