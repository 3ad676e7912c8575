using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mirror.Bench.Fleet;

/// <summary>A server of the fleet, which can be killed, stopped and started again on the same port and folder.</summary>
internal sealed class Daemon : IDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);
    private static readonly ConcurrentDictionary<Daemon, bool> All = new();

    private readonly Func<ProcessStartInfo> _start;
    private readonly int _port;
    private Process? _process;

    /// <param name="port">The port on which it listens when it is up.</param>
    public Daemon(string program, string[] arguments, int port)
    {
        _port = port;
        _start = () => new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        All[this] = true;
        Start();
    }

    /// <summary>
    /// A free port, below the range that the kernel uses for outgoing connections: the server uses the port again after a restart.
    /// </summary>
    public static int FreePort()
    {
        while (true)
        {
            try
            {
                using var probe = new TcpListener(IPAddress.Loopback, Random.Shared.Next(12000, 30000));
                probe.Start();
                return ((IPEndPoint)probe.LocalEndpoint).Port;
            }
            catch (SocketException)
            {
                // The port is taken; try another one.
            }
        }
    }

    public static void StopAll()
    {
        foreach (var daemon in All.Keys)
            daemon.Dispose();
    }

    public void Start()
    {
        _process = Process.Start(_start())!;
        _process.OutputDataReceived += (_, _) => { };
        _process.ErrorDataReceived += (_, _) => { };
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        var started = Stopwatch.GetTimestamp();
        while (!IsListening())
        {
            if (_process.HasExited || Stopwatch.GetElapsedTime(started) > StartLimit)
                throw new InvalidOperationException($"{_process.StartInfo.FileName} does not start.");
            Thread.Sleep(20);
        }
    }

    /// <summary>SIGKILL.</summary>
    public void Kill()
    {
        if (_process is not { HasExited: false } running)
            return;
        running.Kill(entireProcessTree: true);
        running.WaitForExit();
    }

    /// <summary>SIGTERM, and waits for the end.</summary>
    public void Stop()
    {
        using var kill = Process.Start("/bin/kill", ["-TERM", _process!.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
        _process.WaitForExit();
    }

    public void Dispose()
    {
        if (!All.TryRemove(this, out _))
            return;
        Kill();
        _process?.Dispose();
    }

    private bool IsListening()
    {
        try
        {
            using var client = new TcpClient();
            client.Connect(IPAddress.Loopback, _port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
