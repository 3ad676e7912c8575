using System.Text.Json;
using System.Text.Json.Serialization;
using Mirror.PullThrough;
using Mirror.PullThrough.Fills;
using Mirror.Registry;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Web;

/// <summary>One running download or upload, as the live page shows it.</summary>
/// <param name="Id">Names the transfer: it stays the same from one <see cref="LiveState"/> to the next.</param>
/// <param name="Name">The repositories that take part, as far as the viewer may see them.</param>
/// <param name="What">The digest of a download, or the word "upload".</param>
/// <param name="Speed">Bytes a second, since the last measurement about a second ago.</param>
/// <param name="Origin">Where the bytes come from, as a text for people.</param>
/// <param name="Bytes">How many bytes have arrived.</param>
/// <param name="Length">How many bytes it will have; null where that is unknown.</param>
/// <param name="Clients">How many clients read it or wait for it; null for an upload.</param>
/// <param name="Who">Some of these clients, for an administrator; null for other viewers.</param>
public sealed record LiveTransfer(
    string Id, string Name, string What, string Origin, long Bytes, long? Length, long Speed, int? Clients, string? Who = null);

/// <summary>The running downloads and uploads at one moment.</summary>
/// <param name="Held">How many requests wait for an upstream that does not answer, or that answered "try again later".</param>
public sealed record LiveState(IReadOnlyList<LiveTransfer> Fills, IReadOnlyList<LiveTransfer> Uploads, int Held);

[JsonSerializable(typeof(LiveState))]
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
internal sealed partial class LiveJson : JsonSerializerContext;

/// <summary>
/// Sends the running downloads and uploads once a second to all browsers that show the live page. They are read once for all browsers. The
/// text is also written once for all browsers of administrators, and once for the others that may see everything. Other browsers get a text
/// of their own. While no browser shows the page, nothing is read.
/// </summary>
internal sealed partial class LiveFeed(
    RunningFills fills, Uploads uploads, UpstreamSelector upstreams, WaitingClients waiting, IHostApplicationLifetime lifetime,
    TimeProvider time, ILogger<LiveFeed> log)
{
    private const int MaxViewers = 200;
    // With more rows than this the page would be of no use, and each state takes memory.
    private const int MaxTransfers = 500;
    // Of those that wait for one download.
    private const int MaxNamedClients = 3;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    // After this time the server ends the answer. The browser connects again by itself, and the server checks its rights again.
    private static readonly TimeSpan MaxStay = TimeSpan.FromMinutes(5);

    private readonly RareLine _failures = new(time);
    private readonly Lock _gate = new();
    private Dictionary<string, long> _before = [];
    private long _beforeAt;
    private int _viewers;
    private bool _isProducing;
    private TaskCompletionSource<Tick> _next = New();

    /// <summary>The running downloads and uploads now, as far as a viewer may see them.</summary>
    public async ValueTask<LiveState> NowAsync(Viewer viewer, CancellationToken cancellationToken)
    {
        var (fills, uploads) = Read();
        return await For(viewer, new([], [], fills, uploads, Held), cancellationToken);
    }

    /// <summary>Answers with server-sent events (the HTML standard, "Server-sent events"), one a second.</summary>
    /// <exception cref="RegistryException">Too many browsers show the page already.</exception>
    public async Task SendAsync(HttpContext http, Viewer viewer)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, lifetime.ApplicationStopping);
        stop.CancelAfter(MaxStay);
        var next = Enter();
        try
        {
            http.Response.ContentType = "text/event-stream";
            // nginx would collect the events until its buffer is full.
            http.Response.Headers["X-Accel-Buffering"] = "no";
            await http.Response.Body.WriteAsync("retry: 1000\n\n"u8.ToArray(), stop.Token);
            await http.Response.Body.FlushAsync(stop.Token);
            while (true)
            {
                var tick = await next.WaitAsync(stop.Token);
                // A slow browser misses some states. Its next one is the newest.
                next = Volatile.Read(ref _next).Task;
                var line = !viewer.SeesAll ? Line(await For(viewer, tick, stop.Token))
                    : viewer.IsServerAdmin ? tick.LineOfAdmins
                    : tick.Line;
                await http.Response.Body.WriteAsync(line, stop.Token);
                await http.Response.Body.FlushAsync(stop.Token);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The browser has left, its five minutes are over, or the server stops.
        }
        finally
        {
            lock (_gate)
                _viewers--;
        }
    }

    private int Held => upstreams.All.Sum(mirror => mirror.OutageRetry.Held);

    private Task<Tick> Enter()
    {
        lock (_gate)
        {
            if (_viewers >= MaxViewers)
                throw new RegistryException(RegistryError.Unavailable, $"{MaxViewers} browsers look at this page already");
            _viewers++;
            if (!_isProducing)
                _ = ProduceAsync();
            _isProducing = true;
            return _next.Task;
        }
    }

    private async Task ProduceAsync()
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (true)
        {
            try
            {
                var (fills, uploads) = Read();
                var (all, pushed) = (States(fills), States(uploads));
                var tick = new Tick(
                    Line(new([.. all.Select(WithoutClients)], pushed, Held)), Line(new(all, pushed, Held)), fills, uploads, Held);
                Interlocked.Exchange(ref _next, New()).SetResult(tick);
            }
            // The browsers wait for the next state.
            catch (Exception failure)
            {
                if (_failures.IsDue())
                    LogFailed(failure);
            }
            await timer.WaitForNextTickAsync();
            lock (_gate)
            {
                _isProducing = _viewers > 0;
                if (!_isProducing)
                    return;
            }
        }
    }

    private (List<Seen> Fills, List<Seen> Uploads) Read()
    {
        Dictionary<string, long> now = [];
        List<Seen> running = [], open = [];
        double seconds;
        Dictionary<string, long> before;
        lock (_gate)
            (before, seconds) = (_before, time.GetElapsedTime(_beforeAt).TotalSeconds);
        var clients = waiting.ByBlob();
        foreach (var fill in fills.List().OrderBy(fill => fill.Started).Take(MaxTransfers))
        {
            var id = fill.Digest.ToString();
            var origin = fill.Replica is { } replica ? $"replica {replica.Authority}" : fill.Upstream;
            if (fill.ResumedFrom > 0)
                origin += $", resumed at {Words.Size(fill.ResumedFrom)}";
            running.Add(new(fill.Names, new(
                id, "", id, origin, fill.Bytes, fill.Length, Speed(id, fill.Bytes), fill.Clients, Who(clients[fill.Digest]))));
        }
        foreach (var (name, upload, length, isHeld) in uploads.Progress.OrderBy(upload => upload.Id).Take(MaxTransfers))
        {
            var id = upload.ToString();
            open.Add(new(
                [name], new(id, "", "upload", isHeld ? "a client sends" : "waits for its client", length, null, Speed(id, length), null)));
        }
        // Two reads shortly after each other compare with the same earlier read: a speed over a few milliseconds would be wrong.
        if (seconds >= Interval.TotalSeconds / 2)
            lock (_gate)
                (_before, _beforeAt) = (now, time.GetTimestamp());
        return (running, open);

        long Speed(string id, long bytes)
        {
            now[id] = bytes;
            return before.TryGetValue(id, out var was) && seconds > 0 ? (long)Math.Max(0, (bytes - was) / seconds) : 0;
        }
    }

    private static async ValueTask<LiveState> For(Viewer viewer, Tick tick, CancellationToken stop)
    {
        Dictionary<RepositoryName, bool> known = [];
        await viewer.PrepareAsync(tick.Fills.Concat(tick.Uploads).SelectMany(each => each.Names), stop);
        return new(await VisibleAsync(tick.Fills), await VisibleAsync(tick.Uploads), tick.Held);

        async ValueTask<List<LiveTransfer>> VisibleAsync(IReadOnlyList<Seen> all)
        {
            List<LiveTransfer> visible = [];
            foreach (var (names, transfer) in all)
            {
                List<RepositoryName> allowed = [];
                foreach (var name in names)
                {
                    if (!known.TryGetValue(name, out var may))
                        known[name] = may = await viewer.MaySeeAsync(name, stop);
                    if (may)
                        allowed.Add(name);
                }
                if (allowed.Count > 0)
                {
                    var shown = viewer.IsServerAdmin ? transfer : WithoutClients(transfer);
                    visible.Add(shown with { Name = string.Join(", ", allowed) });
                }
            }
            return visible;
        }
    }

    private static List<LiveTransfer> States(List<Seen> all) =>
        [.. all.Select(each => each.Transfer with { Name = string.Join(", ", each.Names) })];

    private static LiveTransfer WithoutClients(LiveTransfer transfer) => transfer with { Who = null };

    private static string? Who(IEnumerable<string> clients)
    {
        List<string> names = [.. clients.Distinct().Order(StringComparer.Ordinal)];
        var named = string.Join(", ", names.Take(MaxNamedClients).Select(name => Words.Cut(name)));
        return names.Count switch
        {
            0 => null,
            <= MaxNamedClients => named,
            var count => $"{named} and {count - MaxNamedClients} more",
        };
    }

    private static byte[] Line(LiveState state) =>
        [.. "data: "u8, .. JsonSerializer.SerializeToUtf8Bytes(state, LiveJson.Default.LiveState), .. "\n\n"u8];

    private static TaskCompletionSource<Tick> New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    [LoggerMessage(Level = LogLevel.Error, Message = "the live page has no state of the transfers; the next one is tried in a second")]
    private partial void LogFailed(Exception failure);

    private sealed record Seen(IReadOnlyList<RepositoryName> Names, LiveTransfer Transfer);

    private sealed record Tick(
        byte[] Line, byte[] LineOfAdmins, IReadOnlyList<Seen> Fills, IReadOnlyList<Seen> Uploads, int Held);
}
