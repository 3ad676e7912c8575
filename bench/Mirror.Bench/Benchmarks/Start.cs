
namespace Mirror.Bench.Benchmarks;

/// <summary>The time from the process's start to its first answer, and its memory while no client sends requests.</summary>
internal static class Start
{
    public static void Run(Effort effort)
    {
        using var upstream = new Upstream();
        Peer[] peers = [.. Peer.All.Where(peer => peer.Missing is null)];
        var rounds = peers.ToDictionary(peer => peer, _ => new List<(double Seconds, double Resident)>());
        for (var round = 0; round < effort.Rounds * 2 + 1; round++)
            foreach (var peer in peers)
            {
                using var server = ServerProcess.Start(peer, upstream.Port);
                Thread.Sleep(500);
                rounds[peer].Add((server.StartSeconds, server.ResidentMiB));
            }
        var table = new Table("Start to first answer, and idle", "", "ms", "idle MiB");
        foreach (var (peer, runs) in rounds)
            table.Row(peer.Name,
                $"{Table.Median(runs.Select(run => run.Seconds)) * 1e3:F0}", $"{Table.Median(runs.Select(run => run.Resident)):F0}");
    }
}
