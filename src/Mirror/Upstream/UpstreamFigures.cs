using System.Globalization;

namespace Mirror.Upstream;

/// <summary>
/// What one upstream has answered since the server started, for people. It is kept in memory, within limits. Thread-safe.
/// </summary>
public sealed class UpstreamFigures(TimeProvider time)
{
    private const int MaxTimes = 512;
    private const int MaxHours = 24;

    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, long> _requests = new(StringComparer.Ordinal);
    private readonly TimeSpan[] _took = new TimeSpan[MaxTimes];
    private readonly SortedDictionary<(DateTimeOffset Hour, int Account), (long Left, long? Limit)> _left = [];
    private int _asked;
    private int _next;

    /// <summary>How many requests were answered with each status, such as 200; "no answer" for those that were not.</summary>
    public IReadOnlyList<(string Status, long Count)> Requests
    {
        get
        {
            lock (_gate)
                return [.. _requests.Select(each => (each.Key, each.Value))];
        }
    }

    /// <summary>The time until the headers of an answer: of half of the last 512 requests at most, and of 95 in 100. Null before the first
    /// one.</summary>
    public (TimeSpan Half, TimeSpan Most)? Took
    {
        get
        {
            TimeSpan[] all;
            lock (_gate)
                all = [.. _took.Take(_asked)];
            Array.Sort(all);
            return all is [] ? null : (all[(all.Length - 1) / 2], all[(all.Length * 95 - 1) / 100]);
        }
    }

    /// <summary>The fewest pulls that were left to each account in each of the last 24 hours in which upstream told it, the oldest
    /// first.</summary>
    public IReadOnlyList<(DateTimeOffset Hour, int Account, long Left, long? Limit)> Left
    {
        get
        {
            lock (_gate)
            {
                Forget();
                return [.. _left.Select(each => (each.Key.Hour, each.Key.Account, each.Value.Left, each.Value.Limit))];
            }
        }
    }

    /// <param name="status">Null where no answer came.</param>
    /// <param name="took">Until the headers of the response, or the error.</param>
    internal void Asked(int? status, TimeSpan took)
    {
        // An upstream may invent statuses.
        var name = status is null ? "no answer"
            : status is >= 100 and < 600 and var number ? number.ToString(CultureInfo.InvariantCulture)
            : "other";
        lock (_gate)
        {
            _requests[name] = _requests.GetValueOrDefault(name) + 1;
            if (status is null)
                return;
            _took[_next] = took;
            _next = (_next + 1) % MaxTimes;
            _asked = Math.Min(_asked + 1, MaxTimes);
        }
    }

    /// <summary>Upstream told how many pulls an account has left.</summary>
    internal void Told(int account, long? limit, long remaining)
    {
        var now = time.GetUtcNow();
        var key = (now.AddTicks(-(now.Ticks % TimeSpan.TicksPerHour)), account);
        lock (_gate)
        {
            if (!_left.TryGetValue(key, out var known) || remaining < known.Left)
                _left[key] = (remaining, limit);
            Forget();
        }
    }

    private void Forget()
    {
        var oldest = time.GetUtcNow().AddHours(-MaxHours);
        while (_left.Count > 0 && _left.First().Key is var first && first.Hour < oldest)
            _left.Remove(first);
    }
}
