using System.Security.Cryptography;
using System.Text;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Files;

namespace Mirror.Fleet;

/// <summary>
/// Identifies a fleet. Replicas with one store are one fleet. Other mirrors may use the same Redis, and even the same
/// <c>http.secret</c>, and must not read this fleet's entries as their own.
/// </summary>
public sealed partial class FleetIdentity(MirrorOptions options, ILogger<FleetIdentity> log)
{
    private readonly Lazy<string> _store = new(() => StoreOf(options.Storage, log));

    /// <summary>The store, 16 hexadecimal digits. The first use may write a small file into the store's folder.</summary>
    public string Store => _store.Value;

    /// <summary>
    /// Everything that decides what a repository's name means upstream: each upstream's address and name, and our own path prefix.
    /// </summary>
    public string Upstreams { get; } = string.Join('\n', options.Proxy.Upstreams
        .Prepend(options.Proxy).Select(upstream => $"{upstream.Name} {upstream.RemoteUrl}").Prepend(options.Http.Prefix));

    private static string StoreOf(StorageOptions storage, ILogger log)
    {
        var identity = storage.Bucket()?.Identity ?? FolderOf(storage.Filesystem.RootDirectory, log);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(identity)))[..16];
    }

    // The path cannot tell: every container has its own /var/lib/registry, and one shared folder may have another path on each machine.
    private static string FolderOf(string root, ILogger log)
    {
        try
        {
            return FileStoreIdentity.Of(root);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            LogNoIdentity(log, root, failure.Message);
            return Path.GetFullPath(root);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "cannot write the store's identity into {Folder}; using its path instead: {Reason}")]
    private static partial void LogNoIdentity(ILogger log, string folder, string reason);
}
