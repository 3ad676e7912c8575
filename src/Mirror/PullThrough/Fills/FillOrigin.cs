using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>A repository of one upstream, from which a fill may take the blob, because clients asked for it there.</summary>
/// <param name="client">The client with whose login upstream is asked for this repository; null where the mirror's accounts are
/// used.</param>
/// <param name="answeredIn">How long upstream took to prove that the repository may serve the blob; zero where the fill asks it.</param>
internal sealed class FillOrigin(FillSource source, RepositoryName name, ActingClient? client, TimeSpan answeredIn)
{
    private readonly TaskCompletionSource<bool> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public FillSource Source => source;

    public RepositoryName Name => name;

    public ActingClient? Client => client;

    public TimeSpan AnsweredIn => answeredIn;

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
