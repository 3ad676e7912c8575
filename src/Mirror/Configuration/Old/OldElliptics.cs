using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Old;

/// <summary>The store <c>elliptics</c> of docker-registry 0.x, which spoke Elliptics' own protocol. Today it is its HTTP front.</summary>
internal static class OldElliptics
{
    private const string Section = "storage.elliptics";
    private const string Nodes = "elliptics_nodes";

    // Of Rift's sample configuration.
    private const int RiftPort = 8080;

    public static void Translate(OldSettings old)
    {
        // A map of hosts and ports, or a list or a text of host:port:family.
        string[] hosts =
        [
            .. old.Left.Where(name => name.StartsWith($"{Nodes}.", StringComparison.Ordinal)).Select(name => name[(Nodes.Length + 1)..]),
            .. old.List(Nodes).SelectMany(entry => entry.Split(' ', StringSplitOptions.RemoveEmptyEntries))
                .Select(node => node.Split(':')[0]),
        ];
        if (hosts is [])
        {
            old.Say("storage", OldKeyFate.Refused, $"elliptics needs {Nodes}, the machines of Elliptics");
            return;
        }
        var root = old["storage_path"] ?? OldStorage.DefaultFolder;
        old.Say("storage", OldKeyFate.TakenInPart,
            $"{Section} keeps the content in Elliptics, by the HTTP front Rift; tags and all else are in the folder {root}: keep it");
        old.Set($"{Section}.rootdirectory", root);
        old.Say("storage_path", OldKeyFate.Taken, $"{Section}.rootdirectory");
        old.Set($"{Section}.endpoints", new YamlSequenceNode(hosts.Select(host => new YamlScalarNode($"http://{host}:{RiftPort}"))));
        var rift = $"{Section}.endpoints: Rift on port {RiftPort} of each machine";
        old.Say(Nodes, OldKeyFate.Taken, rift);
        foreach (var host in hosts)
            old.Say($"{Nodes}.{host}", OldKeyFate.Taken, rift);
        old.Say("elliptics_groups", OldKeyFate.WithoutEffect, "Rift has the groups in its own configuration, or in that of its bucket");
        old.Say("elliptics_namespace", OldKeyFate.WithoutEffect, $"Rift has buckets in place of namespaces: {Section}.bucket");
        foreach (var name in new[] { "wait_timeout", "check_timeout" })
            old.Say($"elliptics_{name}", OldKeyFate.WithoutEffect, "each request has a limit that fits its length");
        foreach (var name in new[] { "verbosity", "logfile" })
            old.Say($"elliptics_{name}", OldKeyFate.WithoutEffect, "there is one log: log.level");
        old.SayOfAll("elliptics_", OldKeyFate.WithoutEffect, "Rift speaks with the machines, and has threads and flags of its own");
        old.Say("storage_redirect", OldKeyFate.WithoutEffect, "the mirror sends the blobs itself");
    }
}
