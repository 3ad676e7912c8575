using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Files;

/// <summary>
/// The folder of a store. The server recognises it by its place on its device, or else by the file in it with the store's identity. While
/// its volume is unmounted, or something else is mounted over it, the store is away: the server reads nothing there, and acknowledges no
/// write. So it is while a volume that was mounted at a folder below is unmounted.
/// </summary>
public sealed class StoreRoot
{
    // Where operators mount a volume of its own.
    private static readonly string[] MaybeMounted =
        ["docker", "docker/registry", "docker/registry/v2", "docker/registry/v2/blobs", RegistryLayout.Repositories, "mirror"];

    private readonly bool _isChecked;
    private readonly Lock _gate = new();
    private FolderPlace? _known;
    private string? _identity;
    // The folders below that were mount points when the server first saw the store. Most stores have none.
    private string[] _mounts = [];
    private string? _away;
    private int _losses;

    /// <param name="path">The folder that holds <c>docker/</c> and <c>mirror/</c>. It may not exist yet.</param>
    /// <param name="isChecked">Whether the server checks that the folder is present.</param>
    public StoreRoot(string path, bool isChecked)
    {
        (Path, _isChecked) = (System.IO.Path.GetFullPath(path), isChecked);
        Look();
    }

    /// <summary>Called when the store goes away, with the reason, and when it is back, with null.</summary>
    public event Action<string?>? Changed;

    public string Path { get; }

    /// <summary>How often since the start the store went away, or came to another place.</summary>
    public int Losses => Volatile.Read(ref _losses);

    /// <summary>A folder whose presence is not checked, because its content may be lost.</summary>
    public static implicit operator StoreRoot(string path) => new(path, isChecked: false);

    /// <summary>The full path of a path below the folder.</summary>
    /// <exception cref="StoreUnavailableException">The store was away when it was last looked at.</exception>
    public string PathOf(string relative) => Volatile.Read(ref _away) is { } why
        ? throw new StoreUnavailableException(why)
        : System.IO.Path.Combine(Path, relative);

    /// <summary>Checks that the store is present. Call it after a write, and after a search that found nothing.</summary>
    /// <exception cref="StoreUnavailableException">The store is away.</exception>
    public void Require()
    {
        Look();
        _ = PathOf("");
    }

    /// <summary>Writes, and returns only if the bytes went to this store.</summary>
    /// <inheritdoc cref="Require" path="/exception"/>
    internal T Write<T>(Func<T> write)
    {
        Require();
        var losses = Losses;
        try
        {
            var result = write();
            Require();
            return result;
        }
        catch (Exception torn) when (torn.IsStoreFailure && torn is not StoreUnavailableException)
        {
            // The store went away during the write: the written file is missing, or on another device.
            Require();
            throw Losses == losses ? torn : new StoreUnavailableException($"the storage folder {Path} went away for a while", torn);
        }
    }

    /// <inheritdoc cref="Write{T}"/>
    internal void Write(Action write) => Write(() =>
    {
        write();
        return true;
    });

    /// <summary>Returns what a search found. If it found nothing, the store is present, so the store does not have it.</summary>
    /// <inheritdoc cref="Require" path="/exception"/>
    internal T Found<T>(T found, bool isMissing)
    {
        if (isMissing)
            Require();
        return found;
    }

    /// <summary>Writes the store's identity into the folder if possible, so that the server recognises it at another place.</summary>
    public void Mark()
    {
        try
        {
            var identity = FileStoreIdentity.Of(Path);
            lock (_gate)
                _identity = identity;
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            // Read-only, or full: then the server recognises the store only by its place.
        }
    }

    /// <summary>
    /// Whether the file system takes upper case and lower case for the same name, so that tags that differ only in case are one tag. Known
    /// after <see cref="Mark"/>.
    /// </summary>
    public bool IgnoresCase() =>
        File.Exists(System.IO.Path.Combine(Path, RegistryLayout.StoreIdentity))
        && File.Exists(System.IO.Path.Combine(Path, RegistryLayout.StoreIdentity.ToUpperInvariant()));

    /// <summary>Checks whether the folder is still the same one. Takes a microsecond.</summary>
    public void Look()
    {
        if (!_isChecked)
            return;
        var found = FolderPlace.Of(Path);
        string? away;
        lock (_gate)
        {
            if (found is not null && _known is null)
            {
                (_known, _identity) = (found, FileStoreIdentity.Find(Path));
                _mounts = [.. MaybeMounted.Select(folder => System.IO.Path.Combine(Path, folder)).Where(FolderPlace.IsMountPoint)];
            }
            if (found == _known && _away is null && Unmounted() is null)
                return;
            // Another thread may have seen a later state. So look once more under the lock.
            away = WhyAway(FolderPlace.Of(Path)) ?? (Unmounted() is { } folder
                ? $"no volume is mounted at {folder}, and one was at the start: mount it, or restart the server if there is none any more"
                : null);
            if (away == _away)
                return;
            if (away is not null)
                _losses++;
            Volatile.Write(ref _away, away);
        }
        Changed?.Invoke(away);
    }

    private string? Unmounted() => Array.Find(_mounts, static folder => !FolderPlace.IsMountPoint(folder));

    private string? WhyAway(FolderPlace? found)
    {
        if (found == _known)
            return null;
        if (found is null)
            return $"the storage folder {Path} is missing: mount its volume, or restart the server if it was deleted";
        if (_identity is null || FileStoreIdentity.Find(Path) != _identity)
            return $"the storage folder {Path} is not the same as before: mount its volume, or restart the server if it was replaced";
        // The same store at another place, such as another loop device.
        _known = found;
        _losses++;
        return null;
    }
}
