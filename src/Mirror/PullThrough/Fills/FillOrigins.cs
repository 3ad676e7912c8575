using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// The origins of one fill, in the order in which clients asked. One origin at a time sends. If it refuses or fails, only its own clients
/// get the error, and another origin continues after the last byte. An upstream that is at least twice as fast takes over in the same way.
/// </summary>
internal sealed class FillOrigins(FillOrigin first, TimeProvider time) : IDisposable
{
    // How often the pace is judged, while more than one upstream could send.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);
    // How long an origin may send nothing: this time, and twice the time that the slower upstream took to answer a HEAD.
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(100);
    // This time doubles with each turn, so many times at most. So two upstreams whose pace varies do not take turns all the time.
    private const int MaxDoublings = 6;

    private readonly Lock _gate = new();
    private readonly List<FillOrigin> _all = [first];
    private FillTurn? _turn;
    private FillOrigin? _next;
    private int _turns;
    private bool? _opened;
    private bool _isWatched;
    private bool _isClosed;
    private bool _hasFailed;

    /// <summary>The origin that sends, or sent last.</summary>
    public FillOrigin Current { get; private set; } = first;

    /// <summary>Whether readers were admitted: clients may have got bytes.</summary>
    public bool HaveAdmitted { get { lock (_gate) return _opened == true; } }

    /// <summary>Whether the fill failed for all its origins. Later clients need another fill.</summary>
    public bool HaveFailed { get { lock (_gate) return _hasFailed; } }

    /// <summary>The repositories that clients asked for the blob in.</summary>
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
    /// <returns>The origin, whose clients are admitted like those of all others; null if the fill has failed without it.</returns>
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
                same.IsProved = true;
                return same;
            }
            origin = new FillOrigin(source, name, client, answeredIn) { IsProved = true };
            if (_opened is { } admitted)
                origin.Open(admitted);
            origin.IsLate = _isClosed;
            if (_isClosed)
                return origin;
            _all.Add(origin);
            if (_isWatched || _all.TrueForAll(other => other.Source == source))
                return origin;
            _isWatched = true;
        }
        _ = WatchAsync();
        return origin;
    }

    /// <summary>
    /// Begins the turn of the origin that was found to be faster, else of the one that is expected to be the fastest. The caller ends the
    /// turn by <see cref="End"/>.
    /// </summary>
    public FillTurn Begin(CancellationToken stop)
    {
        lock (_gate)
        {
            Current = _next ?? _all.MaxBy(origin => origin.Source.ExpectedPace)!;
            _next = null;
            _turns++;
            return _turn = new FillTurn(Current, time, stop);
        }
    }

    /// <summary>Ends a turn.</summary>
    public void End(FillTurn turn)
    {
        lock (_gate)
        {
            _turn = null;
            turn.Dispose();
            // Upstream has shown that the other origins may serve the blob. If this one had no answer yet, its clients ask their upstream
            // themselves.
            if (!turn.IsOver || turn.Origin.IsProved)
                return;
            _all.Remove(turn.Origin);
            turn.Origin.Open(admitted: false);
        }
    }

    /// <summary>Gives an origin's failure to its own clients; false if it is the only origin, and the fill has failed.</summary>
    public bool TryGoOnWithout(FillOrigin origin, Exception failure)
    {
        lock (_gate)
        {
            _hasFailed = _all.Count == 1;
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
            return [.. _all.Where(origin => origin.IsProved).Select(origin => origin.Name).Distinct()];
        }
    }

    /// <summary>The fill has ended.</summary>
    public void Dispose()
    {
        Close();
        _turn?.Dispose();
    }

    // What upstream says to one login is no answer for another one.
    private FillOrigin? FindLocked(RepositoryName name, ActingClient? client) =>
        _all.Find(origin => origin.Name.Equals(name) && Equals(origin.Client, client));

    private void Open(bool admitted)
    {
        lock (_gate)
        {
            if (_opened is not null)
                return;
            _opened = admitted;
            foreach (var origin in _all)
                origin.Open(admitted);
        }
    }

    private async Task WatchAsync()
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (Judge())
            await timer.WaitForNextTickAsync();
    }

    // False when there is nothing more to judge.
    private bool Judge()
    {
        lock (_gate)
        {
            if (_isClosed || _hasFailed)
                return false;
            if (_turn is not { IsOver: false } turn
                || _all.Where(other => other.Source != turn.Origin.Source).MaxBy(other => other.Source.ExpectedPace) is not { } rival)
                return true;
            var answer = turn.Origin.AnsweredIn > rival.AnsweredIn ? turn.Origin.AnsweredIn : rival.AnsweredIn;
            var grace = (Grace + 2 * answer) * (1 << Math.Min(_turns - 1, MaxDoublings));
            if (turn.Pace(grace) < rival.Source.ExpectedPace / 2)
            {
                _next = rival;
                turn.End();
            }
            return true;
        }
    }
}
