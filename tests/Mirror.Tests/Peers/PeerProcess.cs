using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace Mirror.Tests.Peers;

/// <summary>A real program under test's control: its output is kept, and it ends with its owner.</summary>
internal sealed class PeerProcess : IAsyncDisposable
{
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(10);

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lines = new();
    private readonly ConcurrentQueue<string> _outLines = new();
    private readonly ManualResetEventSlim _reading = new(initialState: true);
    private bool _disposed;

    private PeerProcess(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment)
    {
        var start = new ProcessStartInfo(Availability.Find(program) ?? program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        // Nothing of the machine's own network set-up comes between the peers.
        foreach (var name in new[] { "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "AWS_CA_BUNDLE" })
            start.Environment.Remove(name);
        start.Environment["PATH"] = $"{start.Environment["PATH"]}:/usr/sbin:/sbin";
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        _process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
        _process.OutputDataReceived += (_, e) => Keep(e.Data, _outLines);
        _process.ErrorDataReceived += (_, e) => Keep(e.Data, null);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        _process.StandardInput.Close();
        Name = System.IO.Path.GetFileName(program);
    }

    internal string Name { get; }

    internal int Id => _process.Id;

    internal bool HasExited => _process.HasExited;

    /// <summary>Standard output and error, in order of arrival.</summary>
    internal IReadOnlyList<string> Lines => [.. _lines];

    /// <summary>Standard output alone.</summary>
    internal IReadOnlyList<string> OutLines => [.. _outLines];

    internal string Output => string.Join('\n', _lines);

    internal static PeerProcess Start(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null) =>
        new(program, arguments, environment);

    /// <summary>Leaves what it writes in its pipes until <see cref="GoOnReading"/>.</summary>
    internal void StopReading() => _reading.Reset();

    internal void GoOnReading() => _reading.Set();

    /// <summary>Runs a program to its end.</summary>
    /// <exception cref="PeerFailedException">It ended with another code than 0.</exception>
    internal static async Task<string> RunAsync(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        await using var process = Start(program, arguments, environment);
        await process._process.WaitForExitAsync(Xunit.TestContext.Current.CancellationToken);
        return process._process.ExitCode == 0
            ? string.Join('\n', process._outLines)
            : throw new PeerFailedException($"{process.Name} ended with {process._process.ExitCode}:\n{process.Output}");
    }

    /// <summary>Returns when the check holds.</summary>
    /// <exception cref="PeerFailedException">The program ended before.</exception>
    internal Task UntilAsync(Func<Task<bool>> isSo) => Until.TrueAsync(
        async () =>
        {
            if (!HasExited)
                return await isSo();
            // Its last words may still be on their way.
            var code = await ExitCodeAsync();
            throw new PeerFailedException($"{Name} ended with {code}:\n{Output}");
        },
        () => $"{Name} did not come up:\n{Output}");

    /// <summary>Returns when the address answers anything at all.</summary>
    internal Task UntilAnswersAsync(Uri url) => UntilAsync(async () =>
    {
        try
        {
            using var response = await Http.Client.GetAsync(url, Xunit.TestContext.Current.CancellationToken);
            return true;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    });

    /// <summary>A value of <c>/proc/PID/status</c> such as <c>VmRSS</c>, in bytes.</summary>
    internal long StatusBytes(string key)
    {
        var line = File.ReadLines($"/proc/{Id}/status").First(l => l.StartsWith($"{key}:", StringComparison.Ordinal));
        const NumberStyles padded = NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite;
        return long.Parse(line.Split(':')[1].Replace("kB", "", StringComparison.Ordinal), padded, CultureInfo.InvariantCulture) * 1024;
    }

    /// <summary>SIGKILL: no chance to tidy up.</summary>
    internal async Task KillAsync()
    {
        if (!HasExited)
            _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>Sends a signal and does not wait for what it does.</summary>
    internal void Signal(string name)
    {
        using var kill = Process.Start("/bin/kill", [$"-{name}", Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    /// <summary>The exit code, once it has ended by itself.</summary>
    internal async Task<int> ExitCodeAsync()
    {
        await _process.WaitForExitAsync(Xunit.TestContext.Current.CancellationToken);
        return _process.ExitCode;
    }

    /// <summary>SIGTERM, and SIGKILL where that is not heeded.</summary>
    internal async Task StopAsync()
    {
        if (HasExited)
            return;
        Signal("TERM");
        using var patience = new CancellationTokenSource(MaxWait);
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            await KillAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, true))
            return;
        _reading.Set();
        await StopAsync();
        _process.Dispose();
    }

    private void Keep(string? line, ConcurrentQueue<string>? also)
    {
        if (line is null)
            return;
        _reading.Wait();
        _lines.Enqueue(line);
        also?.Enqueue(line);
    }
}

/// <summary>A real program did not do what it was started for; the message has its output.</summary>
public sealed class PeerFailedException(string message) : Exception(message);
