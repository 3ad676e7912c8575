using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// One origin's request for the bytes of a blob from an offset on. It may run beside that of another origin, before or after its own
/// origin's turn. The first of the two that answers sends the bytes.
/// </summary>
internal sealed class FillRequest : IAsyncDisposable
{
    // So many bytes that came from other origins meanwhile are skipped in the answer. After more of them, the answer is of no use.
    private const int MaxSkipped = 1 << 20;

    private readonly CancellationTokenSource _stop = new();
    private readonly Task<Content> _answer;
    private readonly long _from;

    /// <summary>Sends the request.</summary>
    /// <param name="from">The offset of the first byte asked for.</param>
    /// <param name="send">Completes when the origin has answered; does not throw before it returns a task.</param>
    public FillRequest(long from, Func<CancellationToken, Task<Content>> send) => (_from, _answer) = (from, send(_stop.Token));

    /// <summary>Whether the origin has answered with content.</summary>
    public bool HasAnswered => _answer.IsCompletedSuccessfully;

    /// <summary>The content with which the origin has answered; null if it has not.</summary>
    public Content? Answer => HasAnswered ? _answer.Result : null;

    /// <summary>What the origin answered instead of content, or why it could not be asked; null if neither has happened.</summary>
    public Exception? Failure => _answer.Exception?.InnerException;

    /// <summary>Whether the answer was taken, and is not to be taken again.</summary>
    public bool IsTaken { get; private set; }

    /// <summary>Completes, on another thread, when the origin has answered or could not be asked. Does not throw.</summary>
    public async Task WhenEndedAsync() =>
        await ((Task)_answer).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);

    /// <summary>Whether the answer can be used from this offset on.</summary>
    public bool CanBeUsedFrom(long offset) => offset >= _from && offset - _from <= MaxSkipped;

    /// <summary>
    /// Waits for the answer, which then belongs to the caller, and skips what lies before the offset. If the wait is cancelled, the request
    /// continues.
    /// </summary>
    /// <exception cref="UpstreamException">Upstream lacks the blob, denies it, limits requests (429) or is unavailable: see the
    /// subclasses.</exception>
    public async Task<Content> TakeAsync(long offset, CancellationToken cancellationToken)
    {
        var content = await _answer.WaitAsync(cancellationToken);
        IsTaken = true;
        try
        {
            var skipped = new byte[Math.Min(offset - _from, 64 * 1024)];
            for (var at = _from; at < offset;)
            {
                var read = await content.ReadAsync(at, skipped.AsMemory(0, (int)Math.Min(offset - at, skipped.Length)), cancellationToken);
                if (read == 0)
                    throw new UpstreamUnavailableException($"An upstream ended a blob at byte {at}; another one has sent {offset} bytes.");
                at += read;
            }
            return content;
        }
        catch
        {
            await content.DisposeAsync();
            throw;
        }
    }

    /// <summary>Ends the request, unless its answer was taken.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!IsTaken)
        {
            await _stop.CancelAsync();
            await ((Task)_answer).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (HasAnswered)
                await (await _answer).DisposeAsync();
        }
        _stop.Dispose();
    }
}
