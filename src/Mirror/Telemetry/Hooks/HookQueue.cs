using System.Globalization;
using System.Threading.Channels;

namespace Mirror.Telemetry.Hooks;

/// <summary>
/// Lines that wait for one <see cref="IHookTarget"/>: at most <see cref="MaxWaiting"/>, of which at most <see cref="MaxInWindow"/> are sent
/// within <see cref="Window"/>. What is left out is counted, and told by one more line. Adding a line never waits.
/// </summary>
internal sealed partial class HookQueue : IAsyncDisposable
{
    public const int MaxWaiting = 100;
    public const int MaxInWindow = 10;
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    // One attempt, and what the end of the process waits for.
    private static readonly TimeSpan Attempt = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LastAttempts = TimeSpan.FromSeconds(5);

    private readonly IHookTarget _target;
    private readonly HookMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly Func<ILogger> _log;
    private readonly RareLine _failure;
    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<HookLine> _lines;
    private readonly Task _sending;
    private int _leftOut;

    /// <param name="log">The log for failures of the target. It must not lead back here.</param>
    public HookQueue(IHookTarget target, HookMetrics metrics, TimeProvider time, Func<ILogger> log)
    {
        (_target, _metrics, _time, _log, _failure) = (target, metrics, time, log, new RareLine(time));
        _lines = Channel.CreateBounded<HookLine>(
            new BoundedChannelOptions(MaxWaiting) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true }, _ => LeaveOut());
        _sending = Task.Run(SendAllAsync);
    }

    public void Add(HookLine line) => _lines.Writer.TryWrite(line);

    /// <summary>Sends what waits, for a few seconds at most.</summary>
    public async ValueTask DisposeAsync()
    {
        _lines.Writer.TryComplete();
        await Task.WhenAny(_sending, Task.Delay(LastAttempts, _time));
        await _stop.CancelAsync();
        await _sending;
        _stop.Dispose();
        _target.Dispose();
    }

    private async Task SendAllAsync()
    {
        var (window, sent) = (_time.GetTimestamp(), 0);
        Task<bool>? next = null;
        while (!_stop.IsCancellationRequested)
        {
            next ??= _lines.Reader.WaitToReadAsync().AsTask();
            var isOpen = await UntilAsync(next, Window - _time.GetElapsedTime(window));
            if (_time.GetElapsedTime(window) >= Window || !isOpen)
            {
                (window, sent) = (_time.GetTimestamp(), 0);
                if (Interlocked.Exchange(ref _leftOut, 0) is > 0 and var leftOut)
                {
                    sent++;
                    await SendAsync(Summary(leftOut));
                }
            }
            if (!isOpen)
                return;
            if (next.IsCompleted)
                next = null;
            // The line that says why the process ends is sent in any case.
            if (!_lines.Reader.TryRead(out var line))
                continue;
            if (sent >= MaxInWindow && line.Level < LogLevel.Critical)
            {
                LeaveOut();
                continue;
            }
            sent++;
            await SendAsync(line);
        }
    }

    // Until there is a line, or it is time to tell what was left out. False: there will be no more lines.
    private async Task<bool> UntilAsync(Task<bool> next, TimeSpan rest)
    {
        if (next.IsCompleted || Volatile.Read(ref _leftOut) == 0)
            return await next;
        try
        {
            return await next.WaitAsync(rest > TimeSpan.Zero ? rest : TimeSpan.Zero, _time);
        }
        catch (TimeoutException)
        {
            return true;
        }
    }

    private async Task SendAsync(HookLine line)
    {
        using var attempt = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        attempt.CancelAfter(Attempt);
        try
        {
            await _target.SendAsync(line, attempt.Token);
            _metrics.Counted(_target.Name, "sent");
        }
        // A target may throw anything; the server must not end for it.
        catch (Exception failure)
        {
            _metrics.Counted(_target.Name, "failed");
            if (!_stop.IsCancellationRequested && _failure.IsDue())
                LogFailed(_log(), _target.Name, HookLine.Harmless(
                    failure is OperationCanceledException ? $"no answer within {Attempt.TotalSeconds} s" : failure.Message));
        }
    }

    private void LeaveOut()
    {
        Interlocked.Increment(ref _leftOut);
        _metrics.Counted(_target.Name, "left_out");
    }

    private HookLine Summary(int leftOut) => new(
        _time.GetUtcNow(), LogLevel.Warning,
        string.Create(CultureInfo.InvariantCulture, $"{leftOut} more lines were left out here; the log has them"), []);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "a line of the log could not be sent by {Hook}; it is left out there: {Reason}")]
    private static partial void LogFailed(ILogger log, string hook, string reason);
}
