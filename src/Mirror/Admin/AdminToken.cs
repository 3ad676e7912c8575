using System.Security.Cryptography;
using System.Text;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Admin;

/// <summary>
/// The token of this machine's administrator: a file beside the storage that only the server's user may read. Servers that share the folder
/// share the token. To change it, delete the file and start again.
/// </summary>
public sealed partial class AdminToken(StorageOptions storage, ILogger<AdminToken> log)
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const int HexLength = 64;

    private byte[]? _token;

    /// <summary>The file of a server with this storage.</summary>
    public static string PathOf(StorageOptions storage) => Path.Combine(storage.LocalDirectory, RegistryLayout.AdminToken);

    /// <summary>Reads the file, or writes it where it is missing or where others could read it. Call it once, at the start.</summary>
    public void Prepare()
    {
        var path = PathOf(storage);
        try
        {
            var text = Read(path) ?? Write(path);
            Volatile.Write(ref _token, Encoding.ASCII.GetBytes(text));
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            LogNoToken(path, failure.Reason);
        }
    }

    /// <summary>Whether a request carries the token (<c>Authorization: Bearer</c>).</summary>
    public bool IsIn(HttpRequest request)
    {
        const string scheme = "Bearer ";
        return request.Headers.Authorization is [{ Length: HexLength + 7 } given]
            && given.StartsWith(scheme, StringComparison.OrdinalIgnoreCase)
            && Is(given[scheme.Length..]);
    }

    /// <summary>Whether a text is the token.</summary>
    public bool Is(string text) =>
        Volatile.Read(ref _token) is { } token && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(text), token);

    /// <summary>A keyed hash of the token, to see later whether it is still the same; null where there is none.</summary>
    public byte[]? Print(byte[] key) => Volatile.Read(ref _token) is { } token ? HMACSHA256.HashData(key, token) : null;

    // A file that others could read, or with other content, is replaced.
    private static string? Read(string path)
    {
        if (!File.Exists(path) || !OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & ~OwnerOnly) != 0)
            return null;
        var text = File.ReadAllText(path).Trim();
        return text.Length == HexLength && text.All(char.IsAsciiHexDigit) ? text : null;
    }

    private static string Write(string path)
    {
        var text = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(HexLength / 2));
        var temporary = $"{path}.{Path.GetRandomFileName()}";
        Durable.CreateFolder(Path.GetDirectoryName(path)!);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = OwnerOnly;
        try
        {
            using (var file = new FileStream(temporary, options))
                file.Write(Encoding.ASCII.GetBytes(text + "\n"));
            // Of several servers that start at once, the one that comes last wins; the others read its file when they start again.
            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
        return text;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the token of the administrator cannot be kept in {File}: {Reason}. Only clients that access.rules let administer this server can "
        + "use /mirror/v1/")]
    private partial void LogNoToken(string file, string reason);
}
