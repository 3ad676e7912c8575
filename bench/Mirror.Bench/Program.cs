using System.Runtime.InteropServices;
using Mirror.Bench;
using Mirror.Bench.Benchmarks;
using Mirror.Bench.Fleet;

(string Name, Action<Effort> Run)[] benchmarks =
[
    ("crowd", Crowd.Run),
    ("manifest", WarmManifest.Run),
    ("blob", WarmBlob.Run),
    ("tls", WarmBlob.RunOverTls),
    ("cold", ColdBlob.Run),
    ("memory", Memory.Run),
    ("start", Start.Run),
    ("growth", Growth.Run),
    ("s3", BucketBlob.Run),
    ("fleet", FleetTable.Run),
];

var effort = args.Contains("full") ? Effort.Full : Effort.Quick;
string[] names = [.. args.Where(arg => arg is not ("full" or "quick"))];
if (names.FirstOrDefault(name => !Array.Exists(benchmarks, benchmark => benchmark.Name == name)) is { } unknown)
{
    Console.Error.WriteLine($"There is no benchmark '{unknown}': {string.Join(", ", benchmarks.Select(benchmark => benchmark.Name))}.");
    return 2;
}

// Every end of this program ends the processes that it started.
using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, _ => Environment.Exit(130));
using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, _ => Environment.Exit(143));
AppDomain.CurrentDomain.ProcessExit += (_, _) =>
{
    ServerProcess.StopAll();
    Daemon.StopAll();
};

Console.WriteLine($"{Machine.Describe()}. {(effort.IsFull ? "Full" : "Quick")} run, {DateTime.UtcNow:yyyy-MM-dd HH:mm} UTC.");
Console.WriteLine(
    "Every server logs errors only and keeps no access log. Peers do the same work in turns; a figure is the median of its rounds.");
foreach (var peer in Peer.All)
    if (peer.Missing is { } reason)
        Console.WriteLine($"{peer.Name} is left out: {reason}.");
try
{
    foreach (var (name, run) in benchmarks)
        if (names.Length == 0 || names.Contains(name))
            run(effort);
    return 0;
}
catch (InvalidOperationException failure)
{
    // Caught, so that the started processes are stopped first.
    Console.Error.WriteLine(failure.Message);
    return 1;
}
