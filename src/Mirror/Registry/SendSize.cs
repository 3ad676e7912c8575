namespace Mirror.Registry;

/// <summary>
/// How much of a body is read and sent at a time. Large steps cost the least, but a client that does not read holds one for as long as it
/// likes; so only so many of them are given out, and everyone else is served in small ones.
/// </summary>
internal readonly struct SendSize : IDisposable
{
    /// <summary>In bytes, as <see cref="Small"/>.</summary>
    public const int Large = 256 * 1024;
    public const int Small = 64 * 1024;

    /// <summary>How many large ones are out at most.</summary>
    public const int MaxLarge = 64;

    private static int _large;

    private SendSize(int size) => Size = size;

    /// <summary>In bytes.</summary>
    public int Size { get; }

    /// <summary>A large one, where there is one left. Give it back when the body is sent.</summary>
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
