using System.Diagnostics.Metrics;
using Tag = System.Collections.Generic.KeyValuePair<string, object?>;

namespace Mirror.Telemetry;

/// <summary>What the answers to pulls of mirrored content were, since the process started.</summary>
/// <param name="Pulls">Manifests and blobs answered.</param>
/// <param name="Hits">Those that were in the cache.</param>
/// <param name="SavedBytes">Bytes sent that upstream did not send again.</param>
/// <param name="SavedPulls">Manifests sent that upstream did not count as a pull.</param>
public readonly record struct AnswerTotals(long Pulls, long Hits, long SavedBytes, long SavedPulls)
{
    public static AnswerTotals operator -(AnswerTotals left, AnswerTotals right) => new(
        left.Pulls - right.Pulls, left.Hits - right.Hits, left.SavedBytes - right.SavedBytes, left.SavedPulls - right.SavedPulls);
}

/// <summary>
/// Counts the answers to pulls of mirrored content, by kind and by where the answer came from. Several metrics are sums of these numbers:
/// they are added when metrics are read, and not with each answer.
/// </summary>
internal sealed class AnswerCounts
{
    private static readonly CacheStatus[] Outcomes = Enum.GetValues<CacheStatus>();
    private static readonly ContentKind[] Kinds = Enum.GetValues<ContentKind>();
    private static readonly Tag[] Types = Labels.Tags<ContentKind>("type");
    private static readonly Tag[] OutcomeTags = Labels.Tags<CacheStatus>("outcome");

    private readonly long[] _answers = new long[Kinds.Length * Outcomes.Length];
    private readonly long[] _bodies = new long[Kinds.Length * Outcomes.Length];
    private readonly long[] _bytes = new long[Kinds.Length * Outcomes.Length];

    public AnswerCounts(MirrorMeter meter)
    {
        meter.ObservedCounter("registry_proxy_requests_total", "Pulls of mirrored content answered.", null, () => ByType(_answers));
        meter.ObservedCounter(
            "registry_proxy_hits_total", "Pulls answered with content that was in the cache.", null,
            () => ByType(_answers, static outcome => outcome.IsHit));
        meter.ObservedCounter(
            "registry_proxy_misses_total", "Pulls that had to wait for upstream's bytes.", null,
            () => ByType(_answers, static outcome => !outcome.IsHit));
        meter.ObservedCounter(
            "registry_proxy_pushed_bytes_total", "Bytes of mirrored content sent to clients.", "By", () => ByType(_bytes));
        meter.ObservedCounter(
            "mirror_answers_total", "Pulls of mirrored content, by where the answer came from.", null,
            () => Kinds.SelectMany(kind => Outcomes.Select(outcome => new Measurement<long>(
                Volatile.Read(ref _answers[Place(kind, outcome)]), Types[(int)kind], OutcomeTags[(int)outcome]))));
        meter.ObservedCounter(
            "mirror_saved_bytes_total", "Bytes sent to clients that upstream did not send again.", "By", () => ByType(_bytes, IsSaved));
        meter.ObservedCounter(
            "mirror_saved_pulls_total", "Manifests sent to clients that upstream did not count as a pull.", null,
            () => [new(Sum(_bodies, ContentKind.Manifest, IsSaved))]);
    }

    public AnswerTotals Totals => new(
        Kinds.Sum(kind => Sum(_answers, kind)), Kinds.Sum(kind => Sum(_answers, kind, static outcome => outcome.IsHit)),
        Kinds.Sum(kind => Sum(_bytes, kind, IsSaved)), Sum(_bodies, ContentKind.Manifest, IsSaved));

    /// <param name="bytes">Body bytes sent.</param>
    public void Add(ContentKind kind, CacheStatus outcome, long bytes)
    {
        var place = Place(kind, outcome);
        Interlocked.Increment(ref _answers[place]);
        if (bytes == 0)
            return;
        Interlocked.Increment(ref _bodies[place]);
        Interlocked.Add(ref _bytes[place], bytes);
    }

    private static bool IsSaved(CacheStatus outcome) => outcome is not CacheStatus.Miss;

    private static int Place(ContentKind kind, CacheStatus outcome) => (int)kind * Outcomes.Length + (int)outcome;

    private static IEnumerable<Measurement<long>> ByType(long[] counts, Predicate<CacheStatus>? which = null) =>
        Kinds.Select(kind => new Measurement<long>(Sum(counts, kind, which), Types[(int)kind]));

    private static long Sum(long[] counts, ContentKind kind, Predicate<CacheStatus>? which = null) =>
        Outcomes.Where(outcome => which?.Invoke(outcome) != false).Sum(outcome => Volatile.Read(ref counts[Place(kind, outcome)]));
}
