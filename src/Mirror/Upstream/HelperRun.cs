using System.Diagnostics;
using System.Text;

namespace Mirror.Upstream;

/// <summary>
/// One run of a Docker credential helper, by the protocol of credential helpers: "COMMAND get", the server's name without a line break on
/// standard input, JSON on standard output. All that the helper writes is read, however long it is: otherwise the helper would block.
/// </summary>
internal sealed class HelperRun(string command) : IDisposable
{
    private const int MaxOutput = 64 * 1024;
    private const int MaxErrors = 1024;

    // A process that the helper leaves behind may keep the output open.
    private static readonly TimeSpan MaxRest = TimeSpan.FromSeconds(5);

    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();
    private Process? _helper;

    /// <summary>How what the helper wrote to standard error begins, in one line.</summary>
    public string Errors
    {
        get
        {
            lock (_errors)
                return new string([.. _errors.ToString().Select(letter => char.IsControl(letter) ? ' ' : letter)]).Trim();
        }
    }

    /// <summary>Asks for the account at a server.</summary>
    /// <exception cref="System.ComponentModel.Win32Exception">The command cannot be run.</exception>
    /// <exception cref="IOException">The helper printed too much.</exception>
    public async Task<(int Code, string Output)> AskAsync(string name, CancellationToken cancellationToken)
    {
        _helper = Process.Start(new ProcessStartInfo(command, ["get"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var reading = Task.WhenAll(
            ReadAsync(_helper.StandardError, _errors, MaxErrors), ReadAsync(_helper.StandardOutput, _output, MaxOutput));
        await WriteAsync(_helper.StandardInput, name, cancellationToken);
        await _helper.WaitForExitAsync(cancellationToken);
        await Task.WhenAny(reading, Task.Delay(MaxRest, cancellationToken));
        lock (_output)
            return _output.Length < MaxOutput ? (_helper.ExitCode, _output.ToString()) : throw new IOException("printed too much");
    }

    public void Dispose()
    {
        if (_helper is null)
            return;
        if (!_helper.HasExited)
            _helper.Kill(entireProcessTree: true);
        _helper.Dispose();
    }

    // A helper that has one account only may end without having read the name.
    private static async Task WriteAsync(StreamWriter to, string name, CancellationToken cancellationToken)
    {
        try
        {
            await to.WriteAsync(name.AsMemory(), cancellationToken);
            to.Close();
        }
        catch (IOException)
        {
            // Its output and its exit code say the rest.
        }
    }

    private static async Task ReadAsync(StreamReader from, StringBuilder kept, int max)
    {
        var buffer = new char[4096];
        try
        {
            while (await from.ReadAsync(buffer) is > 0 and var read)
                lock (kept)
                    kept.Append(buffer, 0, Math.Min(read, max - kept.Length));
        }
        catch (Exception ended) when (ended is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // The run is over.
        }
    }
}
