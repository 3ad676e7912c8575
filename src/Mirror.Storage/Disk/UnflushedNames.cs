using System.Collections.Concurrent;

namespace Mirror.Storage.Disk;

/// <summary>
/// The names that this process has made and not yet flushed. Other threads can see such a name, and must not rely on it: if the flush
/// fails, the name goes again.
/// </summary>
internal static class UnflushedNames
{
    private static readonly ConcurrentDictionary<string, ManualResetEventSlim> Names = new();

    /// <summary>Says that the caller is about to make a name, until the result is disposed; waits while another thread does.</summary>
    public static Turn Enter(string path)
    {
        var own = new ManualResetEventSlim();
        while (Names.GetOrAdd(path, own) is var other && other != own)
            other.Wait();
        return new Turn(path, own);
    }

    /// <summary>Waits until nothing is unflushed about a name: from then on it stays if it exists.</summary>
    public static void Wait(string path)
    {
        while (Names.TryGetValue(path, out var other))
            other.Wait();
    }

    /// <summary>The right to make a name.</summary>
    public readonly struct Turn(string path, ManualResetEventSlim own) : IDisposable
    {
        public void Dispose()
        {
            Names.TryRemove(path, out _);
            own.Set();
        }
    }
}
