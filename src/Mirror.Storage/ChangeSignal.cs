namespace Mirror.Storage;

/// <summary>Wakes all that wait for a change, each time something has changed. Safe to use from any thread.</summary>
public sealed class ChangeSignal
{
    private TaskCompletionSource _next = New();

    /// <summary>Completes at the next change. Take it before looking at what may change: then no change can be missed.</summary>
    public Task Next => Volatile.Read(ref _next).Task;

    /// <summary>Wakes all that wait now. A <see cref="Next"/> that is taken afterwards completes at the change after this one.</summary>
    public void Raise() => Interlocked.Exchange(ref _next, New()).SetResult();

    // The waiting code runs on threads of its own: not inside Raise, and not under the locks of its caller.
    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
