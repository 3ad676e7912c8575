using System.Collections.Concurrent;

namespace Mirror.Limits;

/// <summary>
/// The bodies that are being sent to clients or received from them, each with a file of the store. There are as many places as the limit of
/// open files allows. When none is free, the transfer that its client has held up for the longest is cut, so that many clients that do not
/// read, or hardly send, do not disturb the others.
/// </summary>
/// <param name="max">How many bodies may be on their way.</param>
#pragma warning disable CA1001 // A semaphore without a wait handle holds only memory.
public sealed class Transfers(int max)
#pragma warning restore CA1001
{
    // A transfer is cut only when its client took longer than this for 64 KiB.
    private const int MinStuck = 1000;

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _free = new(max);
    private readonly ConcurrentQueue<Transfer> _unused = new();
    private readonly Transfer?[] _all = new Transfer?[max];
    private readonly Lock _cutting = new();
    private int _created;
    private int _waiting;

    /// <summary>
    /// Takes a place for the body of a request, or of its answer, until the result is disposed. A stream of HTTP/2 may wait until others
    /// of its connection end; a request may wait until a slower one was cut.
    /// </summary>
    /// <exception cref="BusyException">No place became free in time.</exception>
    public ValueTask<Transfer> StartAsync(HttpContext http)
    {
        var connection = http.Features.Get<ClientConnection>();
        var tookFile = false;
        if (connection?.TryTakeShare(out tookFile) == false)
            return new(WaitAsync(http, connection, hasShare: false, tookFile));
        return _free.Wait(0) ? new(Take(http, connection, tookFile)) : new(WaitAsync(http, connection, hasShare: true, tookFile));
    }

    internal void End(Transfer transfer, ClientConnection? connection, bool tookFile)
    {
        _unused.Enqueue(transfer);
        _free.Release();
        connection?.GiveShareBack(tookFile);
    }

    private async Task<Transfer> WaitAsync(HttpContext http, ClientConnection? connection, bool hasShare, bool tookFile)
    {
        if (!hasShare)
            tookFile = await WaitForShareAsync(connection!, http.RequestAborted);
        try
        {
            if (Interlocked.Increment(ref _waiting) > max)
                throw Busy();
            for (var waited = TimeSpan.Zero; waited < MaxWait; waited += LookEvery)
            {
                CutSlowest();
                if (await _free.WaitAsync(LookEvery, http.RequestAborted))
                    return Take(http, connection, tookFile);
            }
            throw Busy();
        }
        catch
        {
            connection?.GiveShareBack(tookFile);
            throw;
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    private static async Task<bool> WaitForShareAsync(ClientConnection connection, CancellationToken cancellationToken)
    {
        connection.WaitsForClient();
        try
        {
            return await connection.TakeShareAsync(cancellationToken);
        }
        finally
        {
            connection.GoesOn();
        }
    }

    // Only with a place from _free, so that there is always one unused or not yet created.
    private Transfer Take(HttpContext http, ClientConnection? connection, bool tookFile)
    {
        if (!_unused.TryDequeue(out var transfer))
        {
            transfer = new Transfer(this);
            _all[Interlocked.Increment(ref _created) - 1] = transfer;
        }
        transfer.Begin(http, connection, tookFile);
        return transfer;
    }

    private void CutSlowest()
    {
        lock (_cutting)
        {
            var now = Environment.TickCount64;
            var (slowest, since) = ((Transfer?)null, now - MinStuck);
            foreach (var transfer in _all)
                if (transfer?.StuckSince is { } stuck && stuck <= since)
                    (slowest, since) = (transfer, stuck);
            slowest?.Cut(since);
        }
    }

    private BusyException Busy() =>
        new(
            $"{max} bodies are on their way: the limit of open files is reached; try again later", RetryAfter,
            OpenFiles.Advice);
}

/// <summary>The body of one request or of its answer, on its way. Used again for others after it was disposed.</summary>
public sealed class Transfer : IDisposable
{
    // What a client takes or sends in less than this is not yet progress: a byte now and then is none.
    private const int Piece = 64 * 1024;

    private readonly Transfers _home;
    private readonly Lock _gate = new();
    private HttpContext? _http;
    private ClientConnection? _connection;
    // The time for the current piece, less the times that the client was not waited for; in ms of TickCount64.
    private long _since;
    private long _wentOn;
    private int _piece;
    private bool _waits;
    private bool _isCut;
    private bool _tookFile;

    internal Transfer(Transfers home) => _home = home;

    /// <summary>Since when its client moves one piece, in ms of <see cref="Environment.TickCount64"/>; null while it need not.</summary>
    internal long? StuckSince => Volatile.Read(ref _waits) && !_isCut ? Volatile.Read(ref _since) : null;

    /// <summary>Waits for the client from now on, until <see cref="Moved"/>.</summary>
    public void WaitForClient()
    {
        Volatile.Write(ref _since, _since + Environment.TickCount64 - _wentOn);
        Volatile.Write(ref _waits, true);
        _connection?.WaitsForClient();
    }

    /// <summary>The client has taken or sent so many bytes, waited for or not.</summary>
    public void Moved(int bytes)
    {
        if (_waits)
        {
            Volatile.Write(ref _waits, false);
            _connection?.GoesOn();
        }
        _wentOn = Environment.TickCount64;
        if ((_piece += bytes) < Piece)
            return;
        _piece = 0;
        Volatile.Write(ref _since, _wentOn);
        _connection?.Moved();
    }

    public void Dispose()
    {
        ClientConnection? connection;
        bool tookFile;
        lock (_gate)
        {
            if (_http is null)
                return;
            (connection, tookFile) = (_connection, _tookFile);
            if (_isCut)
                _http.Features.Set(CutOff.ManyBodies);
            Moved(0);
            (_http, _connection) = (null, null);
        }
        _home.End(this, connection, tookFile);
    }

    internal void Begin(HttpContext http, ClientConnection? connection, bool tookFile)
    {
        lock (_gate)
        {
            (_http, _connection, _tookFile, _piece, _isCut) = (http, connection, tookFile, 0, false);
            _since = _wentOn = Environment.TickCount64;
        }
    }

    /// <summary>Ends the request, if it is still stuck since then.</summary>
    internal void Cut(long since)
    {
        // Under the lock: the server uses its context again for the next request.
        lock (_gate)
        {
            if (StuckSince != since)
                return;
            // Not a second time: it gives its place back when its code has seen the end.
            _isCut = true;
            _http?.Abort();
        }
    }
}
