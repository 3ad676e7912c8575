using Microsoft.Win32.SafeHandles;
using Mirror.Storage.Disk;

namespace Mirror.Storage.Spooling;

/// <summary>
/// Disk space that is set aside ahead of a file's writer, so that a growing file costs the file system less and lies in one piece. The file
/// does not become longer by it.
/// </summary>
internal sealed class Reservation(SafeFileHandle file)
{
    // Whatever length an upstream claims, no more of the disk than this is taken for bytes that have not arrived.
    private const int MaxAhead = 16 << 20;

    private long _end;
    private bool _isImpossible;

    /// <summary>Sets space aside for a file that is about to grow from one length to another, both in bytes.</summary>
    /// <param name="expected">The length that the file will have at last; without it nothing is reserved.</param>
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

    /// <summary>The file is empty again, and has no space set aside.</summary>
    public void Reset() => _end = 0;

    /// <summary>Gives back what lies after the file's end: a file that waits to be continued may wait for days.</summary>
    public void Release(long length)
    {
        if (_isImpossible || _end <= length)
            return;
        try
        {
            // To set the length that the file has frees the space after it.
            RandomAccess.SetLength(file, length);
        }
        catch (IOException)
        {
            // The space is freed with the file.
        }
    }
}
