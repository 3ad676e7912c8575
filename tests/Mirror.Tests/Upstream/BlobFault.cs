namespace Mirror.Tests.Upstream;

/// <summary>What goes wrong with one answer of the CDN. Offsets count from the start of the blob, also in a ranged answer.</summary>
public sealed record BlobFault
{
    /// <summary>
    /// A clean answer that ends too early: its Content-Length says so, and only the blob's descriptor tells that bytes are missing.
    /// </summary>
    public static BlobFault ShortAt(long offset) => new() { EndsAt = offset, How = Cut.CleanEnd };

    /// <summary>The full Content-Length is promised and the connection closed at the offset.</summary>
    public static BlobFault ClosedAt(long offset) => new() { EndsAt = offset, How = Cut.Closed };

    /// <summary>The full Content-Length is promised and the connection reset at the offset.</summary>
    public static BlobFault ResetAt(long offset) => new() { EndsAt = offset, How = Cut.Reset };

    /// <summary>Nothing more comes after the offset until the gate is opened; then the rest does.</summary>
    public static BlobFault StalledAt(long offset, Gate gate) => new() { EndsAt = offset, How = Cut.Stalled, Gate = gate };

    /// <summary>One byte is not what it should be.</summary>
    public static BlobFault WrongByteAt(long offset) => new() { WrongByte = offset };

    /// <summary>200 and the whole blob, whatever Range asks.</summary>
    public static BlobFault RangeIgnored { get; } = new() { IgnoresRange = true };

    /// <summary>This fault of an answer that begins with the first byte, whatever Range asks.</summary>
    public BlobFault FromTheStart() => this with { IgnoresRange = true };

    /// <summary>This status for a request with Range; the whole blob for one without.</summary>
    public static BlobFault RangeRefused(int status) => new() { RangeStatus = status };

    /// <summary>206 with another range than Range asks for.</summary>
    public static BlobFault RangeShifted { get; } = new() { ShiftsRange = true };

    /// <summary>403, as if the signature had run out on the way.</summary>
    public static BlobFault SignatureExpired { get; } = new() { Status = 403 };

    /// <summary>An error page with this status.</summary>
    public static BlobFault Refused(int status) => new() { Status = status };

    internal enum Cut
    {
        None,
        CleanEnd,
        Closed,
        Reset,
        Stalled,
    }

    internal long EndsAt { get; private init; } = long.MaxValue;

    internal Cut How { get; private init; }

    internal Gate? Gate { get; private init; }

    internal long? WrongByte { get; private init; }

    internal bool IgnoresRange { get; private init; }

    internal int? RangeStatus { get; private init; }

    internal bool ShiftsRange { get; private init; }

    internal int? Status { get; private init; }
}
