using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Registry;

namespace Mirror.Admin;

/// <summary>
/// Fetches lists of images on a schedule, and checks the most pulled tags shortly before their time is up (<c>proxy.warm</c>), so that
/// clients find them fresh. The settings may change while it runs: a changed list is run at once.
/// </summary>
public sealed partial class ScheduledWarming(
    Warmer warmer, RepositoryResolver repositories, UpstreamSelector upstreams, CachePolicies policies, ImageIndex index, LiveOptions live,
    TimeProvider time, ILogger<ScheduledWarming> log)
    : BackgroundService
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(5);

    // What a rate limit left is tried again after this time, if its list is not due earlier.
    private static readonly TimeSpan LeftRetry = TimeSpan.FromMinutes(10);

    // A tag is checked when this part of its time is left. A tag whose whole time is shorter than a look is not worth it.
    private const int AheadShare = 5;

    // When each list is to run next.
    private Dictionary<string, long> _due = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(LookEvery, time);
        do
        {
            var warm = live.Current.Proxy.Warm;
            // A list is known by what it says.
            var lists = warm.Lists.DistinctBy(Key).ToDictionary(Key);
            _due = _due.Where(due => lists.ContainsKey(due.Key)).ToDictionary();
            foreach (var (key, list) in lists)
                if (!_due.TryGetValue(key, out var due) || time.GetTimestamp() >= due)
                    _due[key] = time.GetTimestamp() + (long)((await RunAsync(list, stoppingToken)).TotalSeconds * time.TimestampFrequency);
            if (warm.Learn > 0)
                await CheckAheadAsync(warm.Learn, stoppingToken);
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private static string Key(WarmListOptions list) =>
        $"{string.Join(' ', list.Images)}|{string.Join(' ', list.Platforms)}|{list.Every}";

    // After which time it runs again.
    private async Task<TimeSpan> RunAsync(WarmListOptions list, CancellationToken stop)
    {
        var started = time.GetTimestamp();
        var platforms = list.Platforms is [] ? null : list.Platforms;
        List<WarmProgress> ends = [];
        foreach (var text in list.Images)
            try
            {
                await warmer.RunAsync(ImageName.Parse(text, repositories), text, platforms, Note, stop);
            }
            catch (RegistryException wrong)
            {
                ends.Add(new WarmProgress(text, WarmState.Failed, 0, 0, 0, wrong.Message));
            }
        foreach (var end in ends.Where(end => end.State == WarmState.Failed))
            LogFailed(end.Image, end.Reason);
        var left = ends.Count(end => end.State == WarmState.Left);
        LogWarmed(
            list.Images[0], list.Images.Length, ends.Count(end => end.State is WarmState.Done or WarmState.Present), left,
            ends.Sum(end => end.Fetched), time.GetElapsedTime(started).TotalSeconds);
        return left > 0 && LeftRetry < list.Every ? LeftRetry : list.Every;

        ValueTask Note(WarmProgress progress)
        {
            if (progress.State != WarmState.Running)
                ends.Add(progress);
            return ValueTask.CompletedTask;
        }
    }

    private async Task CheckAheadAsync(int count, CancellationToken stop)
    {
        try
        {
            foreach (var (name, tag) in await Task.Run(() => index.MostPulled(count), stop))
            {
                stop.ThrowIfCancellationRequested();
                var ttl = policies.Of(name).TagsCacheTtl;
                if (repositories.IsMirrored(name) && upstreams.Find(name) is { Upstream.HasManyPullsLeft: true } mirror
                    && ttl / AheadShare > LookEvery && !policies.Of(name).IsImmutable(tag)
                    && mirror.Freshness.SinceCheck(name, tag) is { } since && since < ttl && since > ttl - ttl / AheadShare)
                    await mirror.Manifests.CheckAheadAsync(name, tag);
            }
        }
        // The index cannot be read now.
        catch (Exception failure) when (ImageIndex.IsFailure(failure))
        {
            LogNotLearnt(failure.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "the list of proxy.warm that begins with {First}: of {Count} images {Stored} are stored, {Left} are left for later because of a "
        + "rate limit; {Bytes} bytes were fetched in {Seconds:0.0} s")]
    private partial void LogWarmed(string first, int count, int stored, int left, long bytes, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Image} of proxy.warm could not be fetched: {Reason}")]
    private partial void LogFailed(string image, string? reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "proxy.warm.learn: the most pulled tags are not known: {Reason}")]
    private partial void LogNotLearnt(string reason);
}
