using System.Diagnostics;

namespace Mirror.Telemetry;

/// <summary>Records how long the store takes: <c>registry_storage_action_seconds</c>, with <c>registry:3</c>'s actions.</summary>
/// <param name="driver">The kind of store, as <c>registry:3</c> calls it: see StorageRegistration.</param>
internal sealed class StorageTimer(StoreMetrics metrics, string driver)
{
    public const string GetContent = "GetContent";
    public const string PutContent = "PutContent";
    public const string Stat = "Stat";
    public const string List = "List";
    public const string Move = "Move";
    public const string Delete = "Delete";

    /// <summary>
    /// Records an action at its end, failed or not. C# evaluates arguments from left to right: write the timestamp before the call, as in
    /// <c>Measure(Stat, Now, store.SizeAsync(...))</c>.
    /// </summary>
    public ValueTask<T> Measure<T>(string action, long started, ValueTask<T> call)
    {
        if (!call.IsCompleted)
            return AwaitAsync(action, started, call);
        Record(action, started);
        return call;
    }

    /// <inheritdoc cref="Measure{T}"/>
    public ValueTask Measure(string action, long started, ValueTask call)
    {
        if (!call.IsCompleted)
            return AwaitAsync(action, started, call);
        Record(action, started);
        return call;
    }

    /// <summary>The moment at which an action starts.</summary>
    public static long Now => Stopwatch.GetTimestamp();

    private async ValueTask<T> AwaitAsync<T>(string action, long started, ValueTask<T> call)
    {
        try
        {
            return await call;
        }
        finally
        {
            Record(action, started);
        }
    }

    private async ValueTask AwaitAsync(string action, long started, ValueTask call)
    {
        try
        {
            await call;
        }
        finally
        {
            Record(action, started);
        }
    }

    private void Record(string action, long started) =>
        metrics.Acted(driver, action, Stopwatch.GetElapsedTime(started).TotalSeconds);
}
