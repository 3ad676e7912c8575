using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Mirror.Tests.Images;
using Mirror.Tests.Resilience;
using Xunit;

namespace Mirror.Tests.Peers;

/// <summary>How the mirror under test is set up. What is not said here is the mirror's own default.</summary>
public sealed record MirrorSettings
{
    /// <summary>The registry to mirror; null is a plain registry.</summary>
    public Uri? Upstream { get; init; }

    public string? Username { get; init; }

    public string? Password { get; init; }

    /// <summary><c>proxy.tags_cache_ttl</c> in Go's form, such as <c>10m</c> or <c>0</c>.</summary>
    public string? TagsCacheTtl { get; init; }

    /// <summary>A volume that is there already; null is an empty one that goes with the mirror.</summary>
    public string? Root { get; init; }

    /// <summary>The driver's section under <c>storage</c>, indented by two; null is files below <see cref="Root"/>.</summary>
    public string? Driver { get; init; }

    /// <summary><c>hosted.repositories</c>; null writes no such section.</summary>
    public string? Hosted { get; init; } = "[local/**]";

    public IReadOnlyDictionary<string, string>? Environment { get; init; }

    /// <summary>The host in <c>http.addr</c>; empty is every interface.</summary>
    public string Interface { get; init; } = "127.0.0.1";

    /// <summary>Limits for <c>prlimit</c> to start it under, such as <c>--nofile=200</c>; null is none.</summary>
    public string? Limits { get; init; }

    /// <summary>The number of the user that it runs as, by <c>setpriv</c>; null is the user of the tests.</summary>
    public string? User { get; init; }

    /// <summary>The program of an older version; null is the one under test.</summary>
    public string? Older { get; init; }

    /// <summary>Decides which of its system calls fail; null lets all be.</summary>
    internal DiskFaults? Faults { get; init; }

    /// <summary>The whole file in place of all settings above but <see cref="Environment"/>; empty starts it without a file. Null: the
    /// settings make the file.</summary>
    public string? File { get; init; }

    /// <summary>More lines of YAML, for whole sections of their own.</summary>
    public string More { get; init; } = "";
}

/// <summary>The program itself, as its users run it: <c>Mirror.dll serve config.yml</c>.</summary>
/// <remarks>
/// With <c>MIRROR_COMMAND</c> set to another program that takes the same arguments, such as <c>docker-registry</c>, the tests run against
/// that one: to see what it does, and that they fail where they should.
/// </remarks>
public sealed partial class MirrorProcess : IAsyncDisposable
{
    private static readonly string? OtherCommand = Environment.GetEnvironmentVariable("MIRROR_COMMAND");

    private static readonly string EveryManifest = string.Join(
        ", ", new[] { new ImageTypes(Oci: false), new ImageTypes(Oci: true) }.SelectMany(t => new[] { t.Manifest, t.Index }));

    private readonly TempFolder _folder = new();
    private MirrorSettings _settings;
    private readonly Uri _debug;
    private PeerProcess? _process;

    private MirrorProcess(MirrorSettings settings)
    {
        _settings = settings;
        Url = new Uri($"http://127.0.0.1:{Ports.Free()}");
        _debug = new Uri($"http://127.0.0.1:{Ports.Free()}");
        Root = settings.Root ?? _folder.Folder("root");
    }

    public static Availability Availability =>
        OtherCommand is not null ? Availability.Of(OtherCommand)
        : File.Exists(Program) ? default
        : new Availability($"{Program} is not built");

    public Uri Url { get; }

    /// <summary>Host and port, as in an image name.</summary>
    public string Authority => Url.Authority;

    /// <summary>Where metrics and probes are.</summary>
    public Uri Debug => _debug;

    /// <summary>Where it stores.</summary>
    public string Root { get; }

    /// <summary>Everything it has logged since it was started last.</summary>
    public IReadOnlyList<string> Log => _process!.Lines;

    /// <summary>Returns when a line of the log is one of these. The server writes its log in the background.</summary>
    public Task UntilLoggedAsync(Predicate<string> isIt) =>
        Until.TrueAsync(() => Log.Any(line => isIt(line)), () => $"No such line:\n{string.Join('\n', Log)}");

    /// <summary>As <see cref="UntilLoggedAsync"/>, and there is only one such line.</summary>
    public async Task UntilLoggedOnceAsync(Predicate<string> isIt)
    {
        await UntilLoggedAsync(isIt);
        Assert.Single(Log, isIt);
    }

    /// <summary>Memory held now, in bytes.</summary>
    public long Resident => _process!.StatusBytes("VmRSS");

    /// <summary>The most memory ever held, in bytes.</summary>
    public long PeakResident => _process!.StatusBytes("VmHWM");

    /// <summary>What the process has open: files, sockets, and what else the system counts as such.</summary>
    public IEnumerable<string?> Open => new DirectoryInfo($"/proc/{_process!.Id}/fd").EnumerateFiles().Select(file => file.LinkTarget);

    /// <summary>The program under test.</summary>
    internal static string Program
    {
        get
        {
            // tests/Mirror.Tests/bin/<configuration>/<framework>/ -> src/Mirror/bin/<configuration>/<framework>/
            var output = new DirectoryInfo(AppContext.BaseDirectory);
            return Path.Combine(Repository, "src", "Mirror", "bin", output.Parent!.Name, output.Name, "Mirror.dll");
        }
    }

    /// <summary>The root of the repository.</summary>
    internal static string Repository => new DirectoryInfo(AppContext.BaseDirectory).Parent!.Parent!.Parent!.Parent!.Parent!.FullName;

    /// <summary>A mirror of this registry.</summary>
    public static Task<MirrorProcess> StartAsync(Uri upstream) => StartAsync(new MirrorSettings { Upstream = upstream });

    public static async Task<MirrorProcess> StartAsync(MirrorSettings settings)
    {
        var mirror = new MirrorProcess(settings);
        try
        {
            await mirror.StartAgainAsync();
        }
        catch
        {
            await mirror.DisposeAsync();
            throw;
        }
        return mirror;
    }

    /// <summary>Starts it once more on the same port and storage.</summary>
    public async Task StartAgainAsync()
    {
        string[] command = OtherCommand is not null ? [OtherCommand, "serve", ConfigFile]
            : _settings.File is "" ? ["dotnet", Program, "serve"]
            : ["dotnet", _settings.Older ?? Program, "serve", ConfigFile];
        if (_settings.User is { } user)
        {
            command = ["setpriv", $"--reuid={user}", $"--regid={user}", "--clear-groups", .. command];
            if (!OperatingSystem.IsWindows())
                new DirectoryInfo(_folder.Path).UnixFileMode |= UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        }
        if (_settings.Limits is { } limits)
            command = ["prlimit", limits, .. command];
        if (_settings.Faults is not null)
            command = [.. _settings.Faults.CommandOf(command)];
        _process = PeerProcess.Start(command[0], command[1..], Variables());
        if (_settings.Faults is { } faults)
            await faults.AttachAsync(_process.Id);
        await _process.UntilAnswersAsync(new Uri(Url, "/v2/"));
        await _process.UntilAsync(() => Task.FromResult(Log.Any(IsReadyLine)));
    }

    /// <summary>Runs <c>garbage-collect</c> on its storage, beside it where it is up, without any grace; returns what that said.</summary>
    public Task<string> CollectAsync(params string[] options) => PeerProcess.RunAsync(
        "dotnet", [Program, "garbage-collect", .. options, ConfigFile],
        new Dictionary<string, string> { ["REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECT_GRACE"] = "0s" });

    /// <summary>The configuration, as a file.</summary>
    public string ConfigFile => _folder.Replace("config.yml", Config());

    /// <summary>SIGKILL in the middle of whatever it is doing.</summary>
    public Task KillAsync() => _process!.KillAsync();

    /// <summary>Runs another verb of the program on this mirror's configuration.</summary>
    public async Task<(int Code, string Output)> RunAsync(params string[] verb)
    {
        await using var process = PeerProcess.Start(
            "dotnet", [Program, verb[0], ConfigFile, .. verb[1..]], _settings.Environment);
        return (await process.ExitCodeAsync(), process.Output);
    }

    /// <summary>SIGSTOP: it stands still until <see cref="GoOn"/>.</summary>
    public void StandStill() => _process!.Signal("STOP");

    public void GoOn() => _process!.Signal("CONT");

    /// <summary>Leaves its logs in its pipes until <see cref="GoOnReading"/>, as a log driver that hangs.</summary>
    public void StopReading() => _process!.StopReading();

    public void GoOnReading() => _process!.GoOnReading();

    /// <summary>SIGHUP, without waiting for what it does.</summary>
    public void HangUp() => _process!.Signal("HUP");

    /// <summary>Sends it a signal, such as <c>USR1</c>.</summary>
    public void Signal(string name) => _process!.Signal(name);

    /// <summary>Changes <see cref="ConfigFile"/>, for when it is written next.</summary>
    public void Change(Func<MirrorSettings, MirrorSettings> change) => _settings = change(_settings);

    /// <summary>Writes another configuration, and has the running program read it again.</summary>
    /// <returns>The lines that it logged of it.</returns>
    public async Task<IReadOnlyList<string>> ReloadAsync(Func<MirrorSettings, MirrorSettings> change)
    {
        var before = Log.Count;
        _settings = change(_settings);
        _ = ConfigFile;
        HangUp();
        await Until.TrueAsync(
            () => Log.Skip(before).Any(line => line.Contains(" read again", StringComparison.Ordinal)), () => string.Join('\n', Log));
        return [.. Log.Skip(before).Where(line => line.Contains("configuration: ", StringComparison.Ordinal))];
    }

    /// <summary>SIGTERM, without waiting for the end.</summary>
    public void AskToStop() => _process!.Signal("TERM");

    /// <summary>Returns when it has ended by itself.</summary>
    public Task<int> EndedAsync() => _process!.ExitCodeAsync();

    /// <summary>SIGTERM, and waits for the end.</summary>
    public Task StopAsync() => _process!.StopAsync();

    /// <summary>All metrics, as they are scraped.</summary>
    public Task<string> MetricsAsync() => Http.Client.GetStringAsync(new Uri(_debug, "/metrics"));

    /// <summary>The sum of a metric over all series that have these labels; 0 where there is none.</summary>
    public async Task<double> MetricAsync(string name, params (string Name, string Value)[] labels)
    {
        var text = await MetricsAsync();
        return text.Split('\n')
            .Select(l => MetricLine().Match(l))
            .Where(m => m.Groups["name"].Value == name)
            .Where(m => labels.All(label => m.Groups["labels"].Value.Contains($"{label.Name}=\"{label.Value}\"", StringComparison.Ordinal)))
            .Sum(m => double.Parse(m.Groups["value"].Value, CultureInfo.InvariantCulture));
    }

    /// <summary>
    /// GET or HEAD of a path below <c>/v2/</c>, returning at the headers. For a manifest every type is accepted, as by real clients, unless
    /// said otherwise.
    /// </summary>
    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri(Url, $"/v2/{path}"));
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        if (path.Contains("/manifests/", StringComparison.Ordinal) && request.Headers.Accept.Count == 0)
            request.Headers.TryAddWithoutValidation("Accept", EveryManifest);
        try
        {
            return await Http.Client.SendAsync(
                request, HttpCompletionOption.ResponseHeadersRead, Xunit.TestContext.Current.CancellationToken);
        }
        // So that a test which fails for it says why.
        catch (HttpRequestException failure) when (_process is { HasExited: true } ended)
        {
            throw new HttpRequestException(failure.HttpRequestError, $"{failure.Message}: the mirror has ended:\n{ended.Output}", failure);
        }
    }

    public Task<HttpResponseMessage> GetAsync(string path, params (string Name, string Value)[] headers) =>
        SendAsync(HttpMethod.Get, path, headers);

    public Task<HttpResponseMessage> HeadAsync(string path, params (string Name, string Value)[] headers) =>
        SendAsync(HttpMethod.Head, path, headers);

    /// <summary>Returns when a path is answered from the store. HEAD never fetches a blob, so asking does not help it along.</summary>
    public Task UntilStoredAsync(string path, params (string Name, string Value)[] headers) => Until.TrueAsync(
        async () =>
        {
            using var response = await HeadAsync(path, headers);
            return response.StatusCode == HttpStatusCode.OK && CacheAnswer.Of(response) == CacheAnswer.Hit;
        },
        () => $"{path} is not stored:\n{string.Join('\n', Log)}");

    /// <summary>
    /// Gets a path until the answer is a redirect, and returns its address. A container of Swift that has no key for addresses gets one at
    /// the first request. The mirror uses it some seconds later.
    /// </summary>
    public async Task<Uri> UntilRedirectedAsync(string path)
    {
        Uri? address = null;
        await Until.TrueAsync(
            async () =>
            {
                using var response = await GetAsync(path);
                address = response.StatusCode == HttpStatusCode.TemporaryRedirect ? response.Headers.Location : null;
                return address is not null;
            },
            () => $"{path} is not redirected:\n{string.Join('\n', Log)}");
        return address!;
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        _folder.Dispose();
    }

    private static bool IsReadyLine(string line) => line.Contains("listening", StringComparison.OrdinalIgnoreCase);

    // What a file of other words cannot say the same way.
    private Dictionary<string, string> Variables()
    {
        Dictionary<string, string> variables = _settings.Environment?.ToDictionary() ?? [];
        if (_settings.File is not null)
            variables["REGISTRY_HTTP_ADDR"] = Url.Authority;
        return variables;
    }

    private string Config()
    {
        if (_settings.File is { } whole)
            return whole;
        var text = new List<string>
        {
            "version: 0.1",
            "log:",
            "  level: debug",
            "storage:",
            _settings.Driver?.TrimEnd() ?? $"  filesystem:\n    rootdirectory: {Root}",
            "  delete:",
            "    enabled: true",
            "http:",
            $"  addr: {_settings.Interface}:{Url.Port}",
            "  debug:",
            $"    addr: {_debug.Authority}",
            "    prometheus:",
            "      enabled: true",
            "      path: /metrics",
        };
        if (_settings.Hosted is { } patterns)
            text.Add($"hosted: {{repositories: {patterns}}}");
        if (_settings.Upstream is not null)
        {
            text.Add("proxy:");
            text.Add($"  remoteurl: {_settings.Upstream.GetLeftPart(UriPartial.Path).TrimEnd('/')}");
            Add("username", _settings.Username);
            Add("password", _settings.Password);
            Add("tags_cache_ttl", _settings.TagsCacheTtl);
        }
        return string.Join('\n', text) + '\n' + _settings.More;

        void Add(string key, string? value)
        {
            if (value is not null)
                text.Add($"  {key}: {value}");
        }
    }

    [GeneratedRegex(@"^(?<name>[a-zA-Z0-9_:]+)(?:\{(?<labels>.*)\})? (?<value>\S+)", RegexOptions.CultureInvariant)]
    private static partial Regex MetricLine();
}

/// <summary>What the mirror says of where an answer came from.</summary>
internal static class CacheAnswer
{
    internal const string Hit = "hit";
    internal const string Miss = "miss";
    internal const string Joined = "joined";
    internal const string Revalidated = "revalidated";
    internal const string Stale = "stale";

    internal static string? Of(HttpResponseMessage response) =>
        response.Headers.TryGetValues("X-Cache", out var values) ? string.Join(',', values) : null;
}
