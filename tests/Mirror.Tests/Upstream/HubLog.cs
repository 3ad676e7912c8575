using System.Collections.Concurrent;
using Mirror.Storage;

namespace Mirror.Tests.Upstream;

/// <summary>Everything the hub was asked and everything it sent.</summary>
public sealed class HubLog
{
    private readonly Lock _gate = new();
    private readonly List<HubRequest> _requests = [];
    private readonly List<(Func<HubRequest, bool> Matches, TaskCompletionSource<HubRequest> Seen)> _waiters = [];
    private readonly ConcurrentDictionary<string, long> _bodyBytes = new();
    private readonly ConcurrentDictionary<string, int> _tokens = new();

    /// <summary>All requests so far, in order of arrival.</summary>
    public IReadOnlyList<HubRequest> Requests
    {
        get
        {
            lock (_gate)
                return [.. _requests];
        }
    }

    /// <summary>Tokens issued, by scope.</summary>
    public IReadOnlyDictionary<string, int> TokensIssued => _tokens;

    /// <summary>How many requests of this kind came, by any method or by one.</summary>
    public int Count(Asked asked, string? method = null) =>
        Requests.Count(r => r.Asked == asked && (method is null || r.Method == method));

    /// <summary>Body bytes sent for one blob, from the CDN or directly.</summary>
    public long BodyBytes(Digest digest) => _bodyBytes.GetValueOrDefault(digest.ToString());

    /// <summary>Body bytes sent for all blobs.</summary>
    public long BodyBytes() => _bodyBytes.Values.Sum();

    /// <summary>The distinct Authorization headers an origin ("registry", "token", "cdn") has seen.</summary>
    public IReadOnlyCollection<string> AuthorizationSeenBy(string origin) =>
        [.. Requests.Where(r => r.Origin == origin).Select(r => r.Authorization).OfType<string>().Distinct()];

    /// <summary>The first request that matches, past or to come.</summary>
    public Task<HubRequest> WhenAskedAsync(Func<HubRequest, bool> matches)
    {
        lock (_gate)
        {
            if (_requests.Find(r => matches(r)) is { } past)
                return Task.FromResult(past);
            var seen = new TaskCompletionSource<HubRequest>(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Add((matches, seen));
            return seen.Task;
        }
    }

    /// <summary>Forgets what was counted so far; content and tokens stay.</summary>
    public void Clear()
    {
        lock (_gate)
            _requests.Clear();
        _bodyBytes.Clear();
        _tokens.Clear();
    }

    /// <summary>For the message of an assertion that failed.</summary>
    public override string ToString() => string.Join('\n', Requests.Select(r => r.ToString()));

    internal void Add(HubRequest request)
    {
        lock (_gate)
        {
            _requests.Add(request);
            foreach (var (_, seen) in _waiters.Where(w => w.Matches(request)))
                seen.TrySetResult(request);
        }
    }

    internal void Sent(Digest digest, int bytes) => _bodyBytes.AddOrUpdate(digest.ToString(), bytes, (_, sum) => sum + bytes);

    internal void Issued(string scope) => _tokens.AddOrUpdate(scope, 1, (_, count) => count + 1);
}
