using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Mirror.Limits;

/// <summary>
/// One connection of a client, and whether it comes forward. A connection is <em>stuck</em> while each of its requests waits for the
/// client, or while it has no request at all.
/// </summary>
#pragma warning disable CA1001 // A semaphore without a wait handle holds only memory.
public sealed class ClientConnection
#pragma warning restore CA1001
{
    // In milliseconds. A client that pushes sends several requests, and would have to wait for a place before each of them.
    private const int Turn = 2000;

    // In milliseconds; 5 seconds on average. Refused at the same moment, clients would all come again at the same moment.
    private const int MinLinger = 3000, MaxLinger = 7000;

    // Kestrel may read the rest of such a body.
    private const int SmallBody = 64 * 1024;

    // How long a refused client has to read the answer.
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(2);

    // From the text with which Kestrel ends a connection whose client does not read: Kestrel gives the reason in no other form.
    private const string UnreadText = "minimum data rate";

    private readonly ConnectionContext _connection;
    private readonly SemaphoreSlim _share;
    private readonly ClientConnections _all;
    // Requests that wait for this server, or for an upstream, and not for the client.
    private int _busy;
    // Whether a body has the place that the connection itself has for one.
    private int _bodyPlaceTaken;
    private readonly long _opened = Environment.TickCount64;
    private long _moved = Environment.TickCount64;
    private CutOff? _cutOff;

    /// <param name="maxTransfers">How many bodies its streams may have on their way at the same time.</param>
    internal ClientConnection(ConnectionContext connection, int maxTransfers, ClientConnections all) =>
        (_connection, _share, _all) = (connection, new(maxTransfers), all);

    /// <summary>Whether the server has so many connections that the places may run short.</summary>
    internal bool IsCrowded => _all.IsCrowded;

    /// <summary>When it last came forward, in ms of <see cref="Environment.TickCount64"/>; null while it is not stuck.</summary>
    public long? StuckSince => Volatile.Read(ref _busy) <= 0 ? Volatile.Read(ref _moved) : null;

    /// <summary>What was last noted of the client; any request of the connection may replace it.</summary>
    public object? Noted { get; set; }

    /// <summary>Why the server closes the connection although its client is there; null while it does not.</summary>
    internal CutOff? CutOff => Volatile.Read(ref _cutOff);

    public void RequestStarted()
    {
        Interlocked.Increment(ref _busy);
        // Clients take turns then. Otherwise those that ask again and again keep all places.
        if (_all.OthersWait && Environment.TickCount64 - _opened >= Turn)
            CloseAfterAnswer();
    }

    public void RequestEnded()
    {
        Moved();
        Interlocked.Decrement(ref _busy);
    }

    /// <summary>A request waits for the client, until <see cref="GoesOn"/>.</summary>
    internal void WaitsForClient() => Interlocked.Decrement(ref _busy);

    internal void GoesOn() => Interlocked.Increment(ref _busy);

    /// <summary>
    /// Waits before an answer that refuses a request, while the server has many clients: those that ask again at once would keep it busy
    /// with refusals. Meanwhile the connection is among those that are closed when places run short. One of HTTP/1.1 needs no place for a
    /// body any more: it is closed after the answer.
    /// </summary>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    internal async Task LingerAsync(bool isHttp2, CancellationToken cancellationToken)
    {
        if (!IsCrowded)
            return;
        if (!isHttp2)
        {
            CloseAfterAnswer();
            _connection.Features.Get<ConnectionPlace>()?.LendBody();
        }
        WaitsForClient();
        try
        {
            await Task.Delay(Random.Shared.Next(MinLinger, MaxLinger), cancellationToken);
        }
        finally
        {
            GoesOn();
        }
    }

    /// <summary>
    /// While the server has many clients, ends the connection a moment after an answer that refuses a large body of HTTP/1.1, and leaves
    /// the rest of the body unread. Kestrel would read for five seconds what the client sends, and many refused clients would take the
    /// processor from the others.
    /// </summary>
    internal void LeaveBodyUnread(HttpContext http)
    {
        if (!IsCrowded || http.Request.ContentLength <= SmallBody
            || http.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody != true)
            return;
        http.Response.Headers.Connection = "close";
        http.Response.OnCompleted(async () =>
        {
            try
            {
                await Task.Delay(Farewell, http.RequestAborted);
            }
            catch (OperationCanceledException)
            {
            }
            http.Abort();
        });
    }

    private void CloseAfterAnswer() => _connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();

    internal void Moved() => Volatile.Write(ref _moved, Environment.TickCount64);

    /// <summary>
    /// Takes a part of the connection's share for a body, until <see cref="GiveShareBack"/>; false where none is free. The bodies of other
    /// streams than the first take files from the places of all connections.
    /// </summary>
    /// <param name="tookFile">To be given back.</param>
    internal bool TryTakeShare(out bool tookFile)
    {
        tookFile = false;
        if (!_share.Wait(0))
            return false;
        if (TryTakeOwnPlace())
            return true;
        tookFile = _all.FreeFiles.Wait(0);
        if (!tookFile)
            _share.Release();
        return tookFile;
    }

    /// <inheritdoc cref="TryTakeShare"/>
    internal async Task<bool> TakeShareAsync(CancellationToken cancellationToken)
    {
        await _share.WaitAsync(cancellationToken);
        if (TryTakeOwnPlace())
            return false;
        try
        {
            return await _all.TakeFileAsync(maxWait: null, cancellationToken);
        }
        catch
        {
            _share.Release();
            throw;
        }
    }

    internal void GiveShareBack(bool tookFile)
    {
        if (tookFile)
            _all.FreeFiles.Release();
        else
            Volatile.Write(ref _bodyPlaceTaken, 0);
        _share.Release();
    }

    private bool TryTakeOwnPlace() => Interlocked.CompareExchange(ref _bodyPlaceTaken, 1, 0) == 0;

    /// <summary>Closes it at once, to make room.</summary>
    internal void Close()
    {
        Volatile.Write(ref _cutOff, CutOff.ManyConnections);
        _connection.Abort(new ConnectionAbortedException("Connections run short, and this one was the slowest."));
    }

    /// <summary>Notes that Kestrel closes it: because its client has gone, or does not read.</summary>
    /// <param name="reason">Null where Kestrel gives none.</param>
    internal void NoteClosing(ConnectionAbortedException? reason)
    {
        if (reason?.Message.Contains(UnreadText, StringComparison.Ordinal) == true)
            Volatile.Write(ref _cutOff, CutOff.Unread);
    }
}
