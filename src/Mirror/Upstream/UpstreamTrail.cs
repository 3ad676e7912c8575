using System.Globalization;

namespace Mirror.Upstream;

/// <summary>
/// The requests to upstreams that one piece of work causes, each in one line, for <c>why</c>. The trail follows the work through every call
/// that it makes and every task that it starts.
/// </summary>
public sealed class UpstreamTrail
{
    /// <summary>How many requests are kept; later ones are only counted.</summary>
    private const int MaxLines = 16;

    private static readonly AsyncLocal<UpstreamTrail?> Flowing = new();

    private readonly Lock _gate = new();
    private readonly List<string> _lines = [];
    private int _more;

    /// <summary>The trail of the work that runs now; null where none is kept.</summary>
    public static UpstreamTrail? Current => Flowing.Value;

    /// <summary>The requests so far, in the order in which they ended.</summary>
    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (_gate)
                return _more == 0 ? [.. _lines] : [.. _lines, $"and {_more} more"];
        }
    }

    /// <summary>Begins a trail for the async method that calls this, and for what it calls.</summary>
    public static UpstreamTrail Begin() => Flowing.Value = new();

    /// <summary>Adds a request that was answered, or that got no answer.</summary>
    /// <param name="status">Null where there was no answer.</param>
    internal void Add(HttpMethod method, Uri url, int? status, TimeSpan took)
    {
        lock (_gate)
        {
            if (_lines.Count == MaxLines)
                _more++;
            else
                // Without the query, which may hold a signature.
                _lines.Add(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{method} {url.Authority}{url.AbsolutePath}: {(status is { } code ? $"{code}" : "no answer")} after "
                    + $"{took.TotalMilliseconds:0} ms"));
        }
    }
}
