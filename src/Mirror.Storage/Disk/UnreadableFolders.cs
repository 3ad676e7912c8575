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
    private readonly Lock _gate = new();
    private int _sweeps;

    /// <summary>Called once for each folder.</summary>
    public event Action<string>? Found;

    /// <summary>One of them; null where there is none.</summary>
    public string? Any => _folders.Keys.FirstOrDefault();

    /// <summary>
    /// Begins a sweep: forgets the folders, because the rights may have been mended since. While another sweep runs, which may have found
    /// them, they stay.
    /// </summary>
    internal void Begin()
    {
        lock (_gate)
            if (_sweeps++ == 0)
                _folders.Clear();
    }

    /// <summary>Ends a sweep.</summary>
    internal void End()
    {
        lock (_gate)
            _sweeps--;
    }

    internal void Add(string folder)
    {
        if (_folders.Count < MaxRemembered && _folders.TryAdd(folder, true))
            Found?.Invoke(folder);
    }
}
