using System.Collections.Concurrent;
using Mirror.Limits;
using Mirror.Storage;

namespace Mirror.PullThrough.Fills;

/// <summary>The blobs on their way in: at most one fill for a digest, whichever repositories and however many clients ask for it.</summary>
public sealed class RunningFills : IAsyncDisposable
{
    private readonly ConcurrentDictionary<Digest, Running> _running = new();
    private readonly CancellationTokenSource _stop = new();

    /// <summary>The running fill for a digest; null where there is none.</summary>
    public Fill? Find(Digest digest) => _running.TryGetValue(digest, out var running) ? running.Fill : null;

    /// <summary>
    /// The fill for a digest, started from <paramref name="name"/> where none was running. The caller has joined it and leaves by
    /// <see cref="Fill.LeaveAsync"/> or by disposing what it reads.
    /// </summary>
    /// <param name="ignoreLease">Whether it is started though another replica has one.</param>
    /// <exception cref="StoreUnavailableException">As many are running as the limit of open files has room for.</exception>
    internal (Fill Fill, bool Joined) JoinOrStart(FillContext context, RepositoryName name, Digest digest, bool ignoreLease)
    {
        while (true)
        {
            ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
            if (_running.Count >= OpenFiles.MaxDownloads && Find(digest) is null)
                throw new StoreUnavailableException($"{OpenFiles.MaxDownloads} downloads are running, and the limit of open files has no room for another.");
            var own = new Running(new Fill(context, name, digest, ignoreLease));
            var running = _running.GetOrAdd(digest, own);
            if (!running.Fill.TryJoin())
            {
                // Over, and about to be taken off the list: help, and look again.
                _running.TryRemove(new(digest, running));
                continue;
            }
            if (running == own)
                // On this thread until it has asked upstream: another one would have to wake up first.
                own.Task = RunAsync(own);
            else
                context.Metrics.ClientJoined();
            return (running.Fill, running != own);
        }
    }

    /// <summary>Stops every fill; what they have so far stays in their spools.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stop.IsCancellationRequested)
            return;
        await _stop.CancelAsync();
        await Task.WhenAll(_running.Values.Select(running => running.Task));
    }

    private async Task RunAsync(Running own)
    {
        try
        {
            await own.Fill.RunAsync(_stop.Token);
        }
        finally
        {
            _running.TryRemove(new(own.Fill.Digest, own));
        }
    }

    private sealed class Running(Fill fill)
    {
        public Fill Fill => fill;

        public Task Task { get; set; } = Task.CompletedTask;
    }
}
