namespace Mirror.Registry;

/// <summary>
/// How many bytes of a body are read and sent at a time. Large pieces cost the least processor time: 0.44 s for each GiB at 512 KiB,
/// 0.51 s at 32 KiB (docs/performance.md). But a client that stops reading occupies the memory of its piece. So at most
/// <see cref="MaxLarge"/> answers use large pieces, and the others small ones: 2,000 clients that do not read cost 309 MiB instead of 670.
/// </summary>
internal readonly struct SendSize : IDisposable
{
    /// <summary>In bytes, as <see cref="Small"/>.</summary>
    public const int Large = 256 * 1024;
    public const int Small = 64 * 1024;

    /// <summary>How many answers may use large pieces at the same time.</summary>
    public const int MaxLarge = 64;

    private static int _large;

    private SendSize(int size) => Size = size;

    /// <summary>In bytes.</summary>
    public int Size { get; }

    /// <summary>The size for one answer. Dispose it when the body has been sent.</summary>
    public static SendSize Take()
    {
        if (Interlocked.Increment(ref _large) <= MaxLarge)
            return new(Large);
        Interlocked.Decrement(ref _large);
        return new(Small);
    }

    public void Dispose()
    {
        if (Size == Large)
            Interlocked.Decrement(ref _large);
    }
}
