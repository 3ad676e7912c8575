using System.Collections.Concurrent;

namespace Mirror.Storage.Disk;

/// <summary>
/// The folders of a store that this process has no right to read. To a client they are empty. A garbage collection must not take them for
/// empty: they may name what it is about to delete.
/// </summary>
public sealed class UnreadableFolders
{
    private const int MaxRemembered = 1000;

    private readonly ConcurrentDictionary<string, bool> _folders = new();

    /// <summary>Called once for each folder.</summary>
    public event Action<string>? Found;

    /// <summary>One of them; null where there is none.</summary>
    public string? Any => _folders.Keys.FirstOrDefault();

    /// <summary>Forgets them: the rights may have been mended since.</summary>
    public void Clear() => _folders.Clear();

    internal void Add(string folder)
    {
        if (_folders.Count < MaxRemembered && _folders.TryAdd(folder, true))
            Found?.Invoke(folder);
    }
}
