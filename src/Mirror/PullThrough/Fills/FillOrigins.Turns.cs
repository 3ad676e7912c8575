using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>Which origin sends, and for how long.</summary>
internal sealed partial class FillOrigins
{
    // How often the pace is judged, while more than one origin could send.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);
    // How long an origin may send nothing: this time, or twice the time in which its upstream answered a HEAD if this is longer. A HEAD
    // for the first origin is not timed, so the other one's time counts.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(0.25);
    // The second, third and fourth turn of an origin each allow four times as much silence as the turn before. So two origins whose pace
    // varies do not change all the time. From the fifth turn on, only the time limits of its requests end the turn of a silent origin: each
    // change starts these limits again, so a fill whose origins are all silent would never end.
    private const int MaxGrowths = 3;
    // An origin that failed is not tried again until this many bytes have come since. It would probably fail at the same place.
    private const long MinProgress = 64 * 1024;

    private async Task WatchAsync()
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (SwitchIfSlow())
            await timer.WaitForNextTickAsync();
    }

    // Ends the turn of an origin that is silent or slow, if another one can be expected to be faster. False when the fill is over.
    internal bool SwitchIfSlow()
    {
        lock (_gate)
        {
            if (_isClosed || _hasFailed)
                return false;
            if (_turn is not { IsOver: false } turn)
                return true;
            SettleRequests(turn);
            AskBeside(turn);
            if (Best(_received + turn.Bytes, turn.Origin) is not { } rival)
                return true;
            if (rival.Request is { HasAnswered: true }
                && (turn.Bytes == 0 || turn.IsTrickle || turn.Origin.ExpectedPace < rival.ExpectedPace / 2))
            {
                SwitchTo(rival, turn, turn.Bytes == 0 ? FillTurn.Silent : FillTurn.Slow);
                return true;
            }
            var answer = 2 * (turn.Origin.AnsweredIn ?? rival.AnsweredIn ?? TimeSpan.Zero);
            var patience = answer > Patience ? answer : Patience;
            var pace = turn.Pace(patience * (1 << 2 * Math.Min(turn.Origin.Turns - 1, MaxGrowths)));
            if (pace == 0)
            {
                if (turn.Origin.Turns <= MaxGrowths + 1)
                    SwitchTo(rival, turn, FillTurn.Silent);
            }
            else if (pace < rival.ExpectedPace / 2)
                SwitchTo(rival, turn, FillTurn.Slow);
            return true;
        }
    }

    // Looks at the requests of the origins that have no turn. An answer that is no web page proves that the repository may serve the blob.
    // A request ends when it is of no use any more. If a request fails, the clients of its origin get the failure. But an origin that never
    // had a turn was asked only to save time (AskBeside): its clients wait for the bytes of the others.
    private void SettleRequests(FillTurn turn)
    {
        foreach (var origin in _all.FindAll(origin => origin != turn.Origin))
        {
            if (origin.Request is not { } request)
                continue;
            if (request.Failure is not UpstreamException failure)
            {
                if (request.Answer is { } answer && !origin.Source.MayBePage(answer, origin.Name, digest))
                    Prove(origin);
                if (!IsOfUse(request, origin, turn))
                    DropRequestOrOrigin(origin);
                continue;
            }
            origin.DropRequest();
            if (origin.Turns == 0)
            {
                origin.FailedAt = _received + turn.Bytes;
                continue;
            }
            _all.Remove(origin);
            origin.Refuse(failure);
        }
    }

    // Whether the answer can still be needed. Once clients are admitted, an answer that may be a web page is not: its bytes must not follow
    // those that clients have got.
    private bool IsOfUse(FillRequest request, FillOrigin origin, FillTurn turn) =>
        request.CanBeUsedFrom(Offset(turn))
        && (!request.HasAnswered || !turn.KeepsUpWith(origin.ExpectedPace / 2) && (origin.IsProved || _opened is null));

    private void DropRequestOrOrigin(FillOrigin origin)
    {
        if (_opened is null || origin.IsProved)
            origin.DropRequest();
        else
            LeaveOut(origin);
    }

    // While the origin that was asked has sent next to nothing, asks one origin of each other upstream too, but none that is known to be
    // slow, and none a second time. As soon as one has answered while the current one is silent or slow, it gets the turn. So an upstream
    // that hangs or is slow costs the clients of the others next to no time.
    private void AskBeside(FillTurn turn)
    {
        if (!turn.HasAsked || turn.HasBegun)
            return;
        foreach (var origin in _all)
            if (origin is { Turns: 0, FailedAt: null } && !(origin.KnownPace < turn.Origin.ExpectedPace / 2)
                && !_all.Exists(other => other.Source == origin.Source && (other == turn.Origin || other.Request is not null)))
                _ = AskAsync(origin, Offset(turn));
    }

    private async Task AskAsync(FillOrigin origin, long from)
    {
        // The request of another origin's client may have led here. Ask upstream with the login of this origin's own client.
        ActingClient.Current = origin.Client;
        await origin.AskAsync(from, stop => SendAsync(origin, from, stop));
        SwitchIfSlow();
    }

    // The offset of the next byte.
    private long Offset(FillTurn turn) => _inherited + _received + turn.Bytes;

    // The best origin by this order: it has answered; it has not failed at this place; it is expected to be the fastest; it had the fewest
    // turns.
    private FillOrigin? Best(long received, FillOrigin? without = null) => _all
        .Where(origin => origin != without)
        .MaxBy(origin => (origin.Request is { HasAnswered: true }, !HasFailed(origin, received), origin.ExpectedPace, -origin.Turns));

    private static bool HasFailed(FillOrigin origin, long received) => received - origin.FailedAt < MinProgress;

    private void SwitchTo(FillOrigin rival, FillTurn turn, string fault)
    {
        _next = rival;
        if (fault != FillTurn.Slow)
            turn.Origin.FailedAt = _received + turn.Bytes;
        turn.End(fault);
    }
}
