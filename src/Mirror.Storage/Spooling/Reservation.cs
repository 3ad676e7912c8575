using Microsoft.Win32.SafeHandles;
using Mirror.Storage.Disk;

namespace Mirror.Storage.Spooling;

/// <summary>
/// Reserves disk space ahead of the writer of a file. So a growing file costs the file system less time, and is in one piece on the disk.
/// This does not change the length of the file.
/// </summary>
internal sealed class Reservation(SafeFileHandle file)
{
    // At most so many bytes are reserved ahead, because an upstream may announce any length.
    private const int MaxAhead = 16 << 20;

    private long _end;
    private bool _isImpossible;

    /// <summary>Reserves space for a file that is about to grow from one length to another, both in bytes.</summary>
    /// <param name="expected">The final length of the file; if it is null, nothing is reserved.</param>
    public void Extend(long from, long to, long? expected)
    {
        if (_isImpossible || _end >= to || expected is not { } last)
            return;
        var end = Math.Min(last, from + MaxAhead);
        if (end <= to)
            return;
        _end = end;
        _isImpossible = !Durable.Reserve(file, from, end - from);
    }

    /// <summary>Call it when the file has become empty: it has no reserved space then.</summary>
    public void Reset() => _end = 0;

    /// <summary>Frees the space after the file's end: an interrupted download may wait for days.</summary>
    public void Release(long length)
    {
        if (_isImpossible || _end <= length)
            return;
        try
        {
            // Setting the length again, to the same value, frees the space after it.
            RandomAccess.SetLength(file, length);
        }
        catch (IOException)
        {
            // The system frees the space when the file is deleted.
        }
    }
}
