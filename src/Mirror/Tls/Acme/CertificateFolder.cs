using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Storage.Disk;

namespace Mirror.Tls.Acme;

/// <summary>
/// The folder of <c>http.tls.letsencrypt.cachefile</c>, with the names and forms that <c>registry:3</c> uses. If the setting names the file
/// of <c>registry:2</c>, the folder is beside it, and the file is only read.
/// </summary>
public sealed class CertificateFolder(string cacheFile)
{
    private const string AccountFile = "acme_account+key", OlderAccountFile = "acme_account.key", OrderSuffix = "+order";
    // A chain has some KB.
    private const long MaxFile = 1 << 20;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string? _oldFile = File.Exists(cacheFile) ? cacheFile : null;

    /// <summary>The folder.</summary>
    public string Folder => _oldFile is null ? cacheFile : $"{cacheFile}.d";

    /// <summary>Makes the folder, where it is missing.</summary>
    /// <exception cref="IOException">The system refused.</exception>
    /// <exception cref="UnauthorizedAccessException">The process has no right to it.</exception>
    public void Create()
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(Folder);
        else
            Directory.CreateDirectory(Folder, OwnerOnly | UnixFileMode.UserExecute);
    }

    /// <summary>The newest certificate of a host, whether it is still valid or not; null where there is none.</summary>
    /// <param name="unusable">Called with what is wrong with a file.</param>
    internal HostCertificate? Certificate(string host, Action<string, string>? unusable = null)
    {
        foreach (var (file, read) in new (string, Func<string?>)[] { (PathOf(host), () => Read(host)), (cacheFile, () => OldPem(host)) })
            try
            {
                if (read() is { } pem)
                    return HostCertificate.Parse(pem, host);
            }
            catch (Exception failure) when (
                failure is IOException or UnauthorizedAccessException or CryptographicException or JsonException)
            {
                unusable?.Invoke(file, failure.Message);
            }
        return null;
    }

    /// <summary>Stores a key and a chain in PEM.</summary>
    /// <exception cref="IOException">The disk refused.</exception>
    /// <exception cref="UnauthorizedAccessException">The process has no right to the folder.</exception>
    internal void KeepCertificate(string host, string pem) => Write(host, pem);

    /// <summary>The key of the account, which is made where there is none.</summary>
    /// <exception cref="AcmeException">The file holds another key than one of ECDSA on P-256. It stays.</exception>
    /// <inheritdoc cref="KeepCertificate" path="/exception"/>
    internal AccountKey Account()
    {
        foreach (var name in new[] { AccountFile, OlderAccountFile })
            if (Read(name) is { } pem)
                try
                {
                    return new AccountKey(ReadKey(pem));
                }
                catch (Exception failure) when (failure.IsKeyFailure)
                {
                    throw new AcmeException(
                        $"{PathOf(name)} has no key of ECDSA on P-256 in PEM ({failure.Reason}); move the file away, and this server "
                        + "makes a new account",
                        failure);
                }
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Write(AccountFile, key.ExportECPrivateKeyPem() + "\n");
        return new AccountKey(key);
    }

    /// <summary>The order that was not finished; null where there is none.</summary>
    internal (Uri Url, ECDsa Key)? Order(string host)
    {
        try
        {
            return Read(host + OrderSuffix) is { } text
                && JsonSerializer.Deserialize(text, AcmeJson.Default.SavedOrder) is { Url.IsAbsoluteUri: true } order
                ? (order.Url, ReadKey(order.Key))
                : null;
        }
        catch (Exception failure) when (failure.IsKeyFailure || failure is JsonException)
        {
            return null;
        }
    }

    /// <inheritdoc cref="KeepCertificate" path="/exception"/>
    internal void KeepOrder(string host, Uri url, ECDsa key) =>
        Write(host + OrderSuffix, JsonSerializer.Serialize(new SavedOrder(url, key.ExportECPrivateKeyPem()), AcmeJson.Default.SavedOrder));

    /// <inheritdoc cref="KeepCertificate" path="/exception"/>
    internal void ForgetOrder(string host) => File.Delete(PathOf(host + OrderSuffix));

    private static ECDsa ReadKey(string pem)
    {
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(pem);
            return key.ExportParameters(includePrivateParameters: true) is { Curve.Oid.Value: "1.2.840.10045.3.1.7" }
                ? key
                : throw new CryptographicException("it is on another curve");
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }

    private string PathOf(string name) => Path.Combine(Folder, name);

    private string? OldPem(string host) =>
        _oldFile is not null && Text(_oldFile) is { } text
            && JsonSerializer.Deserialize(text, AcmeJson.Default.OldCertificates) is { Certs: { } all }
            && all.TryGetValue(host, out var found) && found is not null
            ? $"{found.Key}\n{found.Cert}"
            : null;

    private string? Read(string name) => Text(PathOf(name));

    private static string? Text(string path)
    {
        if (!File.Exists(path))
            return null;
        return new FileInfo(path).Length <= MaxFile
            ? File.ReadAllText(path)
            : throw new IOException($"{path} has more than {MaxFile} bytes");
    }

    private void Write(string name, string text)
    {
        var temporary = PathOf($"{name}.{Path.GetRandomFileName()}");
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = OwnerOnly;
        try
        {
            using (var file = new FileStream(temporary, options))
            {
                file.Write(Encoding.ASCII.GetBytes(text));
                file.Flush();
                DiskFlush.OfFile(file.SafeFileHandle);
            }
            File.Move(temporary, PathOf(name), overwrite: true);
            DiskFlush.OfFolder(Folder);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }
}
