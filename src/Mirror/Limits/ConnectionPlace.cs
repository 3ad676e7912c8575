namespace Mirror.Limits;

/// <summary>
/// The two open files that a client's connection has a place for: its socket, and the file that the body of a request may need. A request
/// whose body is read into memory needs no file, and lends that place to others, so that many such requests do not keep new clients out.
/// </summary>
internal sealed class ConnectionPlace(ClientConnections connections)
{
    /// <summary>How many files each connection has a place for.</summary>
    public const int Files = 2;

    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    private int _held = Files;

    public void LendBody()
    {
        if (Interlocked.CompareExchange(ref _held, Files - 1, Files) == Files)
            connections.FreeFiles.Release();
    }

    /// <summary>Waits until the connection has again what it lent.</summary>
    /// <exception cref="BusyException">Others kept it for too long: all connections may wait for each other.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public async ValueTask TakeBodyBackAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _held) != Files - 1)
            return;
        if (!await connections.TakeFileAsync(MaxWait, cancellationToken))
            throw new BusyException("too many clients are connected; try again later", RetryAfter, OpenFiles.Advice);
        if (Interlocked.CompareExchange(ref _held, Files, Files - 1) != Files - 1)
            connections.FreeFiles.Release();
    }

    /// <summary>Gives all back: the files of the connection are closed.</summary>
    public void GiveBack()
    {
        if (Interlocked.Exchange(ref _held, 0) is > 0 and var held)
            connections.FreeFiles.Release(held);
    }
}
