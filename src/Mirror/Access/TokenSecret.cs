using System.Security.Cryptography;
using System.Text;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Access;

/// <summary>
/// The secret that signs what the server gives to clients and gets back from them: its own tokens, and sessions of browsers. It is in the
/// store, so that all replicas have the same one. If the store cannot be written, this process uses a secret of its own.
/// </summary>
public sealed partial class TokenSecret(IStoreSecret store, ILogger<TokenSecret> log)
{
    private const int Length = 32;

    private byte[]? _bytes;

    /// <summary>The secret itself.</summary>
    /// <exception cref="IOException">The store does not answer.</exception>
    public async ValueTask<byte[]> ReadAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _bytes) is { } known)
            return known;
        byte[] bytes;
        try
        {
            bytes = await store.ReadAsync(cancellationToken);
        }
        catch (Exception readOnly) when (readOnly is IOException { IsReadOnly: true } or UnauthorizedAccessException)
        {
            LogNotShared(readOnly.Message);
            bytes = RandomNumberGenerator.GetBytes(Length);
        }
        return Interlocked.CompareExchange(ref _bytes, bytes, null) ?? bytes;
    }

    /// <summary>A key for one use, of 32 bytes.</summary>
    /// <param name="use">A text that no other use has.</param>
    /// <exception cref="IOException">The store does not answer.</exception>
    public async ValueTask<byte[]> DeriveAsync(string use, CancellationToken cancellationToken) => HKDF.DeriveKey(
        HashAlgorithmName.SHA256, await ReadAsync(cancellationToken), Length, info: Encoding.UTF8.GetBytes(use));

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the key of our tokens cannot be kept in the store, so tokens are valid at this process and until it ends: {Reason}")]
    private partial void LogNotShared(string reason);
}
