using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// The origins of one fill, in the order in which clients asked. One origin at a time sends. If it refuses or fails, only its own clients
/// get the error, and another origin continues after the last byte. In the same way another origin takes over if the current one sends
/// nothing, cuts its bytes, or is less than half as fast. A request that has no answer yet continues when its origin's turn ends, until
/// another origin has sent many bytes. If the current origin has sent hardly anything yet, those at other upstreams are asked beside it.
/// </summary>
internal sealed partial class FillOrigins(FillOrigin first, Digest digest, TimeProvider time) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<FillOrigin> _all = [first];
    // The origins of the received bytes, also those that have failed since.
    private readonly HashSet<FillOrigin> _senders = [];
    private FillTurn? _turn;
    private FillOrigin? _next;
    // The bytes of the ended turns.
    private long _received;
    // How many bytes the fill has beside those of its turns: an earlier fill had left them.
    private long _inherited;
    private bool? _opened;
    private bool _isWatched;
    private bool _isClosed;
    private bool _hasFailed;

    /// <summary>The origin that sends, or sent last.</summary>
    public FillOrigin Current { get; private set; } = first;

    /// <summary>Whether readers were admitted: clients may have got bytes.</summary>
    public bool HaveAdmitted { get { lock (_gate) return _opened == true; } }

    /// <summary>Whether the blob was stored already: clients look into the store.</summary>
    public bool HaveSentClientsToStore { get { lock (_gate) return _opened == false; } }

    /// <summary>Whether clients may have got bytes, and only one origin can send the others.</summary>
    public bool DependOnOne { get { lock (_gate) return _opened == true && _all.Count == 1; } }

    /// <summary>Whether the fill failed for all its origins. Later clients need another fill.</summary>
    public bool HaveFailed { get { lock (_gate) return _hasFailed; } }

    /// <summary>The repositories in which clients asked for the blob.</summary>
    public RepositoryName[] Names { get { lock (_gate) return [.. _all.Select(origin => origin.Name).Distinct()]; } }

    /// <summary>The origin with this name and this login; null if upstream has not yet shown that it may serve the blob.</summary>
    public FillOrigin? Find(RepositoryName name, ActingClient? client)
    {
        lock (_gate)
            return FindLocked(name, client);
    }

    /// <summary>Adds a repository of which upstream has proved that it may serve the blob.</summary>
    /// <param name="client">The client with whose login upstream was asked; null where the mirror's accounts were used.</param>
    /// <param name="answeredIn">How long upstream took for that.</param>
    /// <returns>The origin; its clients are admitted together with the others'. Null if the fill has failed without it.</returns>
    public FillOrigin? Add(FillSource source, RepositoryName name, ActingClient? client, TimeSpan answeredIn)
    {
        FillOrigin origin;
        lock (_gate)
        {
            if (_hasFailed)
                return null;
            if (FindLocked(name, client) is { } same)
            {
                same.IsLate = _isClosed && !same.IsProved;
                Prove(same);
                return same;
            }
            origin = new FillOrigin(source, name, client, answeredIn) { IsProved = true };
            if (_opened is { } admitted)
                origin.Open(admitted);
            origin.IsLate = _isClosed;
            if (_isClosed)
                return origin;
            _all.Add(origin);
            if (!_isWatched)
                _ = WatchAsync();
            _isWatched = true;
        }
        // At once, and not at the next look of the watch.
        SwitchIfSlow();
        return origin;
    }

    /// <summary>
    /// Begins a turn: of the origin for which the last turn was ended, or else of the one that is expected to be the fastest. The caller
    /// ends the turn by <see cref="End"/>.
    /// </summary>
    public FillTurn Begin(CancellationToken stop)
    {
        lock (_gate)
        {
            Current = _next ?? Best(_received)!;
            _next = null;
            return _turn = new FillTurn(Current, time, stop);
        }
    }

    /// <summary>Ends a turn.</summary>
    public void End(FillTurn turn)
    {
        lock (_gate)
        {
            _turn = null;
            _received += turn.Bytes;
            if (turn.Bytes > 0)
                _senders.Add(turn.Origin);
            turn.Dispose();
            // If upstream has not confirmed this origin, and is not being asked about it, its clients have to ask.
            if (turn.IsOver && turn.Origin is { IsProved: false, Request: null })
                LeaveOut(turn.Origin);
        }
    }

    /// <summary>Opens the blob at an origin during its turn, to be read in order from an offset to its end.</summary>
    /// <exception cref="UpstreamException">Upstream lacks the blob, denies it, limits requests (429) or is unavailable: see the
    /// subclasses.</exception>
    public async Task<Content> OpenAsync(FillOrigin origin, long from, CancellationToken turn)
    {
        lock (_gate)
        {
            _inherited = from - _received - (_turn?.Bytes ?? 0);
            _turn?.HasAsked = true;
        }
        var content = await origin.OpenAsync(from, stop => SendAsync(origin, from, stop), turn);
        origin.IsProved |= !origin.Source.MayBePage(content, origin.Name, digest);
        if (origin.IsProved || !HaveAdmitted)
            return content;
        // Do not mix a page with bytes of another origin.
        await content.DisposeAsync();
        throw new UpstreamUnavailableException($"{origin.Authority} sent a web page instead of {digest}.");
    }

    /// <summary>
    /// The origin that sends has cut its bytes, and its next attempt brought hardly any. Another origin takes over, unless each of them
    /// has failed at this place too: then the current one makes its further attempts.
    /// </summary>
    public void Cut(FillOrigin origin)
    {
        lock (_gate)
        {
            if (_turn is { IsOver: false } turn && turn.Origin == origin && _received + turn.Bytes is var received
                && Best(received, origin) is { } rival && !HasFailed(rival, received))
                SwitchTo(rival, turn, FillTurn.Cut);
        }
    }

    /// <summary>
    /// The received bytes are wrong, and are dropped. For a minute the expected pace of the origins that sent some of them is 0, so that no
    /// download changes to them. Call this between turns: the end of a turn would overwrite the 0.
    /// </summary>
    public void Distrust()
    {
        lock (_gate)
        {
            foreach (var origin in _senders)
                origin.Source.Remember(origin.Name, 0);
            _senders.Clear();
        }
    }

    /// <summary>Gives an origin's failure to its own clients; false if it is the only origin, and the fill has failed.</summary>
    public bool TryGoOnWithout(FillOrigin origin, Exception failure)
    {
        lock (_gate)
        {
            _hasFailed = _all.TrueForAll(other => other == origin);
            if (_hasFailed)
                return false;
            _all.Remove(origin);
        }
        origin.Refuse(failure);
        return true;
    }

    /// <summary>Lets the clients of all origins read the spool.</summary>
    public void AdmitClients() => Open(true);

    /// <summary>Lets the clients of all origins look into the store, which has the blob.</summary>
    public void SendClientsToStore() => Open(false);

    /// <summary>The fill has failed: gives the exception to the clients that still wait.</summary>
    public void Fail(Exception failure)
    {
        lock (_gate)
        {
            _hasFailed = true;
            foreach (var origin in _all)
                origin.Refuse(failure);
        }
    }

    /// <summary>Takes no further origin. Later clients may still read.</summary>
    /// <returns>The repositories that may serve the blob.</returns>
    public RepositoryName[] Close()
    {
        lock (_gate)
        {
            _isClosed = true;
            _all.ForEach(origin => origin.DropRequest());
            if (_opened is not null)
                _all.FindAll(origin => !origin.IsProved).ForEach(LeaveOut);
            return [.. _all.Where(origin => origin.IsProved).Select(origin => origin.Name).Distinct()];
        }
    }

    /// <summary>The fill has ended.</summary>
    public void Dispose()
    {
        Close();
        _turn?.Dispose();
    }

    // Upstream may answer another login differently, so the login has to be the same.
    private FillOrigin? FindLocked(RepositoryName name, ActingClient? client) =>
        _all.Find(origin => origin.Name.Equals(name) && Equals(origin.Client, client));

    private Task<Content> SendAsync(FillOrigin origin, long from, CancellationToken stop) =>
        origin.Source.DownloadAsync(origin.Name, digest, from, () => Cut(origin), stop);

    private void Open(bool admitted)
    {
        lock (_gate)
        {
            if (_opened is null)
            {
                _opened = admitted;
                // An answer that is on its way may prove the origin.
                foreach (var origin in _all.FindAll(other => !other.IsProved && other != Current
                    && !(admitted && other.Request is not null)))
                    LeaveOut(origin);
            }
            foreach (var origin in _all)
                if (origin.IsProved || origin == Current)
                    origin.Open(_opened.Value);
        }
    }

    private void Prove(FillOrigin origin)
    {
        origin.IsProved = true;
        if (_opened is { } admitted)
            origin.Open(admitted);
    }

    // Its clients ask their upstream themselves whether it may serve the blob.
    private void LeaveOut(FillOrigin origin)
    {
        origin.DropRequest();
        _all.Remove(origin);
        origin.Open(admitted: false);
    }
}
