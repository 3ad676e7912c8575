using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mirror.Bench;

/// <summary>A server under test and its children, with their processor time and memory.</summary>
internal sealed class ServerProcess : IDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);
    private static readonly ConcurrentDictionary<ServerProcess, bool> Running = new();

    // USER_HZ, which Linux keeps at 100 for /proc on every machine this runs on.
    private const double TicksPerSecond = 100;

    private readonly Process _process;
    private readonly string _folder;

    private ServerProcess(Process process, Peer peer, int port, string folder)
    {
        (_process, Peer, Port, _folder) = (process, peer, port, folder);
        Running[this] = true;
    }

    public Peer Peer { get; }

    public int Port { get; }

    /// <summary>The time from the process's start until it answered a request.</summary>
    public double StartSeconds { get; private set; }

    /// <summary>Processor time of the server and its children so far, in seconds.</summary>
    public double CpuSeconds => Tree().Sum(Ticks) / TicksPerSecond;

    /// <summary>Resident memory now, in MiB.</summary>
    public double ResidentMiB => Tree().Sum(pid => Status(pid, "VmRSS:"));

    /// <summary>The peak of the resident memory, in MiB.</summary>
    public double PeakMiB => Tree().Sum(pid => Status(pid, "VmHWM:"));

    /// <summary>Starts a peer in a folder of its own and waits for its first answer.</summary>
    public static ServerProcess Start(Peer peer, int upstreamPort, string? storage = null)
    {
        var folder = Directory.CreateTempSubdirectory("mirror-bench-").FullName;
        var port = FreePort();
        var start = peer.Prepare(new PeerSetup(folder, port, upstreamPort, storage ?? Path.Combine(folder, "storage")));
        start.RedirectStandardOutput = start.RedirectStandardError = true;
        var started = Stopwatch.GetTimestamp();
        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        var server = new ServerProcess(process, peer, port, folder);
        while (!server.Answers())
        {
            if (process.HasExited || Stopwatch.GetElapsedTime(started) > StartLimit)
                throw new InvalidOperationException($"{peer.Name} does not start.");
            Thread.Sleep(1);
        }
        server.StartSeconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return server;
    }

    /// <summary>Starts those of the peers that this machine can run.</summary>
    public static ServerProcess[] StartAll(int upstreamPort, params Peer[] peers) =>
        [.. peers.Where(peer => peer.Missing is null).Select(peer => Start(peer, upstreamPort))];

    /// <summary>
    /// Waits until the server is idle: its work after the last byte of an answer must not count for the next measurement.
    /// </summary>
    public void Settle()
    {
        double before;
        do
        {
            before = CpuSeconds;
            Thread.Sleep(100);
        }
        while (CpuSeconds - before > 0.02);
    }

    public static void StopAll()
    {
        foreach (var server in Running.Keys)
            server.Dispose();
    }

    /// <summary>A file that the static peer serves under a path.</summary>
    public string ContentFile(string path) => Path.Combine(_folder, "content", path.TrimStart('/'));

    public void Dispose()
    {
        if (!Running.TryRemove(this, out _))
            return;
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private bool Answers()
    {
        try
        {
            using var client = new Client(Port, tls: Peer.IsTls);
            return client.Ask("/v2/").Status > 0;
        }
        catch (Exception notYet) when (notYet is SocketException or IOException)
        {
            return false;
        }
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    private IEnumerable<int> Tree() => [_process.Id, .. Children(_process.Id)];

    private static IEnumerable<int> Children(int pid) =>
        File.ReadAllText($"/proc/{pid}/task/{pid}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(child => int.Parse(child, CultureInfo.InvariantCulture));

    // Fields 14 and 15. The second field is the name in parentheses, which may contain blanks.
    private static double Ticks(int pid)
    {
        var stat = File.ReadAllText($"/proc/{pid}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
    }

    private static double Status(int pid, string field) =>
        double.Parse(File.ReadLines($"/proc/{pid}/status").First(line => line.StartsWith(field, StringComparison.Ordinal))
            .Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;
}
