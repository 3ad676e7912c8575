using Mirror.Configuration;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>Keeps, for <c>why</c>, what each request did that went past the store, and why it did.</summary>
public sealed class MissNotes(RequestHistory history, TagFreshness freshness, CachePolicies policies, TimeProvider time)
{
    /// <summary>Runs the fetch of a manifest, of its headers, or of a blob, and keeps what it did. It fails as the fetch does.</summary>
    /// <param name="asked">What the client asked.</param>
    public async ValueTask<Answer<T>?> AroundAsync<T>(
        RepositoryName name, Reference reference, string asked, Func<ValueTask<Answer<T>?>> fetch)
    {
        var why = Reason(name, reference, asked);
        var (now, started) = (time.GetUtcNow(), time.GetTimestamp());
        var trail = UpstreamTrail.Begin();
        var outcome = "the client left before there was an answer";
        try
        {
            var answer = await fetch();
            outcome = answer is { } given ? Words(given.CacheStatus, given.Stale) : "upstream does not have it: 404";
            return answer;
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            outcome = $"failed: {failure.Message}";
            throw;
        }
        finally
        {
            history.Keep(name, reference, new(now, time.GetElapsedTime(started), asked, why, outcome, () => trail.Lines));
        }
    }

    private string Reason(RepositoryName name, in Reference reference, string asked)
    {
        if (!reference.IsTag(out var tag, out _))
            return asked.Contains("blob", StringComparison.Ordinal)
                ? "the blob is not stored, or no request has proved yet that this repository may serve it"
                : "the manifest is not stored for this repository";
        var ttl = policies.Of(name).TagsCacheTtl;
        return freshness.SinceCheck(name, tag) is { } age
            ? $"the tag was last checked {age.TotalSeconds:0} s ago, and tags_cache_ttl is {GoDuration.Format(ttl)}"
            : "this server has no recent check of the tag";
    }

    private static string Words(CacheStatus? status, string? stale) => status switch
    {
        CacheStatus.Hit => "served from the store: another request had just checked or stored it",
        CacheStatus.Miss => "fetched from upstream",
        CacheStatus.Joined => "joined the download that another request had begun",
        CacheStatus.Revalidated => "upstream was asked and affirmed what is stored",
        CacheStatus.Stale => $"served from the store, stale: {stale}",
        _ => "answered",
    };
}
