using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>A repository of one upstream, from which a fill may take the blob, because clients asked for it there.</summary>
/// <param name="client">The client with whose login upstream is asked for this repository; null where the mirror's accounts are
/// used.</param>
/// <param name="answeredIn">How long upstream took to show by a HEAD that it has the blob; null where the fill itself asks for the
/// bytes.</param>
internal sealed class FillOrigin(FillSource source, RepositoryName name, ActingClient? client, TimeSpan? answeredIn)
{
    private readonly TaskCompletionSource<bool> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile FillRequest? _request;

    public FillSource Source => source;

    public RepositoryName Name => name;

    public ActingClient? Client => client;

    public TimeSpan? AnsweredIn => answeredIn;

    /// <summary>How many bytes a second the repository lately brought; null if that is unknown.</summary>
    public long? KnownPace => source.KnownPace(name);

    /// <summary>How many bytes a second it may be expected to bring.</summary>
    public long ExpectedPace => source.ExpectedPace(name);

    /// <summary>The request that waits for its answer, or whose answer waits for the next turn of the origin; null if none does.</summary>
    public FillRequest? Request => _request;

    /// <summary>How many turns it has had.</summary>
    public int Turns { get; set; }

    /// <summary>How many bytes the fill had received when this origin last fell silent, cut its bytes or failed a request that was sent
    /// beside another origin's; null if it never did.</summary>
    public long? FailedAt { get; set; }

    /// <summary>The upstream's host and port, for logs and errors.</summary>
    public string Authority => source.Upstream.Origin.Authority;

    /// <summary>Whether upstream has shown that the repository may serve the blob. Only then are its clients admitted.</summary>
    public bool IsProved { get; set; }

    /// <summary>Whether that was shown after the fill began to link the blob: the client's request links it then.</summary>
    public bool IsLate { get; set; }

    /// <summary>
    /// Completes with true when the repository's clients can open readers; with false if they must look into the store and ask again.
    /// </summary>
    /// <exception cref="UpstreamException">This repository's upstream gave one of the other answers.</exception>
    /// <exception cref="IOException">The store has no room for a spool.</exception>
    public Task<bool> Opened => _opened.Task;

    /// <summary>
    /// Opens the blob during a turn, to be read in order from an offset to its end. If the turn ends before the answer, the request
    /// continues, and the next turn takes its answer, if not too many bytes have come from elsewhere.
    /// </summary>
    /// <param name="send">Sends a new request for the bytes from the offset on.</param>
    /// <exception cref="UpstreamException">Upstream lacks the blob, denies it, limits requests (429) or is unavailable: see the
    /// subclasses.</exception>
    public async Task<Content> OpenAsync(long from, Func<CancellationToken, Task<Content>> send, CancellationToken turn)
    {
        if (_request?.CanBeUsedFrom(from) != true)
            DropRequest();
        var request = _request ??= new FillRequest(from, send);
        try
        {
            return await request.TakeAsync(from, turn);
        }
        finally
        {
            if (request.IsTaken || !turn.IsCancellationRequested)
                DropRequest();
        }
    }

    /// <summary>Sends a request before the origin's turn, which takes its answer.</summary>
    /// <returns>Completes when the origin has answered, or could not be asked. Does not throw.</returns>
    public Task AskAsync(long from, Func<CancellationToken, Task<Content>> send) =>
        (_request ??= new FillRequest(from, send)).WhenEndedAsync();

    /// <summary>Ends the request whose answer was not taken, if there is one.</summary>
    public void DropRequest()
    {
        if (Interlocked.Exchange(ref _request, null) is { } request)
            _ = request.DisposeAsync().AsTask();
    }

    /// <summary>Admits the clients, or lets them ask again.</summary>
    public void Open(bool admitted) => _opened.TrySetResult(admitted);

    /// <summary>Gives the exception to the clients that still wait.</summary>
    public void Refuse(Exception failure)
    {
        _opened.TrySetException(failure);
        // Observe the exception, because all clients may have left.
        _ = _opened.Task.Exception;
    }
}
