namespace Mirror.Limits;

/// <summary>
/// The memory for bodies that are read into memory. All of them together may have a sixteenth of what the process may use. Small ones are
/// not counted, so that large ones cannot keep them out.
/// </summary>
public sealed class DocumentMemory
{
    // Nearly every manifest is smaller.
    private const int Small = 16 * 1024;

    private static readonly long Available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
    private static readonly long Max = Math.Clamp(Available / 16, 16 << 20, 256 << 20);

    private long _taken;

    /// <summary>
    /// How many bytes of a body may wait to be read, for each connection: an eighth of the memory, where every connection has as many.
    /// </summary>
    internal static int MaxWaiting { get; } = (int)Math.Clamp(Available / 8 / OpenFiles.MaxConnections, 32 * 1024, 1 << 20);

    /// <summary>How many bodies of 4 MiB may be read into memory at a time; a growing one has up to three times its length.</summary>
    internal static int MaxLargeBodies { get; } = (int)(Max / (12 << 20)) + 1;

    /// <summary>The account of one body, until it is disposed.</summary>
    public Account Open() => new(this);

    /// <summary>What one body has.</summary>
    public sealed class Account(DocumentMemory home) : IDisposable
    {
        private long _has;

        /// <summary>The body has grown to <paramref name="length"/> bytes.</summary>
        /// <exception cref="BusyException">All bodies together would have too much.</exception>
        public void GrowTo(long length)
        {
            // A body is twice in memory when it is complete: in pieces, and as a whole.
            var more = length <= Small ? 0 : 2 * length - _has;
            if (more <= 0)
                return;
            _has += more;
            if (Interlocked.Add(ref home._taken, more) > Max)
                throw new BusyException("too many large manifests are being pushed at this moment", TimeSpan.FromSeconds(5));
        }

        public void Dispose()
        {
            Interlocked.Add(ref home._taken, -_has);
            _has = 0;
        }
    }
}
