using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>Three replicas over one volume and one Redis, mirroring a scripted Docker Hub.</summary>
public abstract class FleetOfHub : IAsyncLifetime
{
    protected const string Repository = "library/nginx";
    protected const int MiB = 1024 * 1024;

    private readonly TempFolder _volume = new();

    protected ScriptedHub Hub { get; private set; } = null!;

    protected RedisProcess Redis { get; private set; } = null!;

    protected IReadOnlyList<MirrorProcess> Replicas { get; private set; } = [];

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        RedisProcess.Availability.OrSkip();
        Hub = await ScriptedHub.StartAsync();
        Redis = await RedisProcess.StartAsync();
        Replicas = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => MirrorProcess.StartAsync(Settings())));
        Hub.Log.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        foreach (var (i, replica) in Replicas.Index())
        {
            if (Environment.GetEnvironmentVariable("FLEET_LOGS") is { } logs)
                await File.WriteAllLinesAsync(Path.Combine(logs, $"{TestContext.Current.TestMethod?.MethodName}.{i}.log"), replica.Log);
            await replica.DisposeAsync();
        }
        if (Redis is not null)
            await Redis.DisposeAsync();
        if (Hub is not null)
            await Hub.DisposeAsync();
        _volume.Dispose();
    }

    protected virtual MirrorSettings Settings() => new()
    {
        Upstream = Hub.Url,
        Root = _volume.Path,
        More = $"redis:\n  addr: {Redis.Address}\n",
        Environment = new Dictionary<string, string> { ["REGISTRY_HTTP_SECRET"] = "shared by all replicas", ["REGISTRY_FLEET_LEAVE"] = "0s" },
    };

    protected static string ManifestPath(object reference, string repository = Repository) => $"{repository}/manifests/{reference}";

    protected static string BlobPath(Digest digest, string repository = Repository) => $"{repository}/blobs/{digest}";

    /// <summary>The digest of a body read to its end, without holding it.</summary>
    protected static async Task<Digest> DigestOfAsync(HttpResponseMessage response)
    {
        using var hash = Digest.NewHash("sha256");
        await using var body = await response.Content.ReadAsStreamAsync(Cancel);
        var buffer = new byte[64 * 1024];
        while (await body.ReadAsync(buffer, Cancel) is var count and > 0)
            hash.AppendData(buffer, 0, count);
        return Digest.FromHash("sha256", hash.GetCurrentHash());
    }
}
