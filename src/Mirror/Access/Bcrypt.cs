using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Mirror.Access;

/// <summary>
/// Password hashes by bcrypt, computed by the system's libcrypt (crypt(3)), which Debian cannot be without. The framework has none.
/// </summary>
internal static unsafe partial class Bcrypt
{
    // struct crypt_data of libxcrypt; glibc's old one was larger.
    private const int DataSize = 128 * 1024;

    /// <summary>Whether a hash is one that can be checked: <c>$2a$</c>, <c>$2b$</c> or <c>$2y$</c>, as <c>htpasswd -B</c> writes them.</summary>
    public static bool IsHash(string hash) => hash is ['$', '2', 'a' or 'b' or 'y', '$', _, _, '$', ..] && hash.Length == 60;

    /// <summary>Whether a password is the one of a hash. Takes tens of milliseconds on purpose.</summary>
    /// <param name="password">Of which bcrypt regards the first 72 bytes.</param>
    public static bool Verify(string password, string hash)
    {
        // A NUL would end the password early for the library.
        if (!IsHash(hash) || password.Contains('\0', StringComparison.Ordinal))
            return false;
        var data = NativeMemory.AllocZeroed(DataSize);
        try
        {
            var computed = Marshal.PtrToStringUTF8(Crypt(password, hash, data)) ?? "";
            return CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(computed), Encoding.UTF8.GetBytes(hash));
        }
        finally
        {
            NativeMemory.Clear(data, DataSize);
            NativeMemory.Free(data);
        }
    }

    [LibraryImport("libcrypt.so.1", EntryPoint = "crypt_r", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint Crypt(string phrase, string setting, void* data);
}
