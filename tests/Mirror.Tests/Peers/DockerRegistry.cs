using System.Globalization;
using System.Text.RegularExpressions;

namespace Mirror.Tests.Peers;

/// <summary>One line of docker-registry's access log.</summary>
public sealed record AccessLine(string Method, string Path, int Status, long Bytes);

/// <summary>Debian's docker-registry, which is <c>registry:2</c>: a plain registry, or a mirror of another one.</summary>
public sealed partial class DockerRegistry : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly Uri? _upstream;
    private readonly string? _driver;
    private readonly string _more;
    private PeerProcess? _process;

    private DockerRegistry(Uri? upstream, string? driver, string more)
    {
        (_upstream, _driver, _more) = (upstream, driver, more);
        Url = new Uri($"http://127.0.0.1:{Ports.Free()}");
    }

    public static Availability Availability => Availability.Of("docker-registry");

    public Uri Url { get; }

    /// <summary>Host and port, as in an image name.</summary>
    public string Authority => Url.Authority;

    /// <summary>The volume: what <c>storage.filesystem.rootdirectory</c> names.</summary>
    public string Root => _folder.Folder("root");

    /// <summary>What was asked since the start or the last <see cref="ForgetAsync"/>, from the access log.</summary>
    public IReadOnlyList<AccessLine> Requests => [.. AllRequests.Skip(_forgotten).Where(r => r.Path != Marker)];

    private const string Marker = "/v2/?mark";
    private int _forgotten;

    private IEnumerable<AccessLine> AllRequests => _process!.OutLines.Select(l => Access().Match(l)).Where(m => m.Success)
        .Select(m => new AccessLine(
            m.Groups["method"].Value, m.Groups["path"].Value,
            int.Parse(m.Groups["status"].Value, CultureInfo.InvariantCulture),
            long.Parse(m.Groups["bytes"].Value, CultureInfo.InvariantCulture)));

    /// <param name="upstream">The registry to be a mirror of; null is a plain registry.</param>
    /// <param name="driver">The driver's section under <c>storage</c>, indented by two; null is files below <see cref="Root"/>.</param>
    /// <param name="more">More lines of YAML, for whole sections of their own.</param>
    public static async Task<DockerRegistry> StartAsync(Uri? upstream = null, string? driver = null, string more = "")
    {
        var registry = new DockerRegistry(upstream, driver, more);
        await registry.StartAgainAsync();
        return registry;
    }

    /// <summary>Starts it once more on the same port and volume.</summary>
    public async Task StartAgainAsync()
    {
        var proxy = _upstream is null ? "" : $"proxy:\n  remoteurl: {_upstream.GetLeftPart(UriPartial.Authority)}\n";
        var config = _folder.Write("config.yml", $"""
            version: 0.1
            log:
              level: info
            storage:
            {_driver?.TrimEnd() ?? $"  filesystem:\n    rootdirectory: {Root}"}
              delete:
                enabled: true
            http:
              addr: {Authority}
            {proxy}
            {_more}
            """);
        _forgotten = 0;
        _process = PeerProcess.Start("docker-registry", ["serve", config]);
        await _process.UntilAnswersAsync(new Uri(Url, "/v2/"));
    }

    /// <summary>Starts a new count: <see cref="Requests"/> is empty afterwards.</summary>
    public async Task ForgetAsync() => _forgotten = await MarkAsync();

    /// <summary>Returns when every request answered so far is in <see cref="Requests"/>: the log is written in the background.</summary>
    public Task SettleAsync() => MarkAsync();

    /// <summary>Runs its garbage collector, which wants it stopped.</summary>
    public Task<string> CollectAsync() => PeerProcess.RunAsync("docker-registry", ["garbage-collect", _folder["config.yml"]]);

    public async Task StopAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _folder.Dispose();
    }

    /// <summary>A request of our own, and the position of its line in the log.</summary>
    private async Task<int> MarkAsync()
    {
        var before = AllRequests.Count(r => r.Path == Marker);
        using var response = await Http.Client.GetAsync(new Uri(Url, Marker));
        await Until.TrueAsync(
            () => AllRequests.Count(r => r.Path == Marker) > before, () => $"The access log stands still:\n{_process!.Output}");
        return AllRequests.Select((line, i) => (line, i)).Last(l => l.line.Path == Marker).i + 1;
    }

    [GeneratedRegex(
        """^\S+ - \S+ \[[^\]]+\] "(?<method>[A-Z]+) (?<path>\S+) HTTP/[0-9.]+" (?<status>\d+) (?<bytes>\d+) """,
        RegexOptions.CultureInvariant)]
    private static partial Regex Access();
}
