using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Mirror.Tests.Stores;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>Replicas over one store and one Redis, mirroring a scripted Docker Hub.</summary>
/// <param name="kind">The store; null is a folder.</param>
[Collection(nameof(FleetOfHub))]
public abstract class FleetOfHub(StoreKind? kind = null) : IAsyncLifetime
{
    internal const string Secret = "shared by all replicas";

    protected const string Repository = "library/nginx";
    protected const int MiB = 1024 * 1024;

    private readonly TempFolder _volume = new();
    private RemoteStore? _store;

    /// <summary>The folder that all replicas share. Over a bucket it holds the scratch folder of each.</summary>
    protected TempFolder Volume => _volume;

    protected ScriptedHub Hub { get; private set; } = null!;

    /// <summary>How many replicas.</summary>
    protected virtual int Count => 3;

    /// <summary>The store itself; null for a folder.</summary>
    protected IBucket? Bucket => _store?.Open();

    protected RedisProcess Redis { get; private set; } = null!;

    protected IReadOnlyList<MirrorProcess> Replicas { get; private set; } = [];

    /// <summary>The fleet's names in Redis, as the replicas over a folder compute them.</summary>
    internal RedisKeys Keys => new(Secrets, new FleetIdentity(
        new MirrorOptions
        {
            Proxy = new() { RemoteUrl = new Uri(Hub.Url.GetLeftPart(UriPartial.Authority)) },
            Storage = new() { Filesystem = new() { RootDirectory = _volume.Path } },
        },
        NullLogger<FleetIdentity>.Instance));

    /// <summary>Signs as the replicas do.</summary>
    internal ReplicaSignature Signature { get; } = new(Secrets, TimeProvider.System);

    private static FleetKeys Secrets { get; } = new(new HttpOptions { Secret = Secret });

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        RedisProcess.Availability.OrSkip();
        if (!Figures.Full && !IsInSample(TestContext.Current.TestMethod!.MethodName))
            Assert.Skip($"over {kind} with MIRROR_TESTS=full");
        if (kind is { } remote)
            _store = await RemoteStore.OpenOrSkipAsync(remote);
        Hub = await ScriptedHub.StartAsync();
        Redis = await StartRedisAsync();
        Replicas = await Task.WhenAll(Enumerable.Range(0, Count).Select(i => MirrorProcess.StartAsync(Settings(i))));
        Hub.Log.Clear();
    }

    public virtual async ValueTask DisposeAsync()
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
        if (_store is not null)
            await _store.DisposeAsync();
        _volume.Dispose();
    }

    /// <summary>Whether a test of this class is run every time. The others are run with <c>MIRROR_TESTS=full</c>.</summary>
    protected virtual bool IsInSample(string test) => true;

    protected virtual Task<RedisProcess> StartRedisAsync() => RedisProcess.StartAsync();

    protected virtual MirrorSettings Settings(int replica) => new()
    {
        Upstream = Hub.Url,
        Root = _store is null ? _volume.Path : null,
        // The replicas run on one machine, and each needs a scratch folder of its own.
        Driver = _store is null ? null : $"{_store.DirectDriver}    scratchdirectory: {_volume.Folder($"scratch-{replica}")}\n",
        More = $"redis:\n  addr: {Redis.Address}\n",
        Environment = new Dictionary<string, string>
        {
            ["REGISTRY_HTTP_SECRET"] = Secret,
            ["REGISTRY_FLEET_LEAVE"] = "0s",
            // On a busy machine an answer may take longer than the default of 200 ms.
            ["REGISTRY_REDIS_READTIMEOUT"] = "1s",
        },
    };

    protected static string ManifestPath(object reference, string repository = Repository) => $"{repository}/manifests/{reference}";

    protected static string BlobPath(Digest digest, string repository = Repository) => $"{repository}/blobs/{digest}";

    /// <summary>GET of a blob; follows a redirect to the bucket.</summary>
    /// <param name="server">A replica, or the load balancer in front of all.</param>
    protected static async Task<HttpResponseMessage> PullAsync(Uri server, Digest digest, string repository = Repository)
    {
        var url = new Uri(server, $"/v2/{BlobPath(digest, repository)}");
        var response = await Http.Client.GetAsync(url, HttpCompletionOption.ResponseHeadersRead, Cancel);
        if (response is not { StatusCode: HttpStatusCode.TemporaryRedirect, Headers.Location: { } location })
            return response;
        response.Dispose();
        return await Http.Client.GetAsync(location, HttpCompletionOption.ResponseHeadersRead, Cancel);
    }

    /// <summary>Starts the download of a blob at a replica. Upstream has sent a quarter of it and goes on when the gate opens.</summary>
    protected async Task<(HubBlob Blob, Gate Gate, HttpResponseMessage First)> BeginAsync(MirrorProcess replica, int size = 32 * MiB)
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(7, size));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(size / 4, gate));
        var first = await replica.GetAsync(BlobPath(blob.Digest));
        await gate.Reached;
        return (blob, gate, first);
    }

    /// <summary>Waits until the replicas share what a tag names: a replica does not wait for Redis before it answers.</summary>
    protected Task UntilTagIsSharedAsync() => Until.TrueAsync(
        async () => (await Redis.KeysAsync("*:tag:*")).Count > 0 && (await Redis.KeysAsync("*:token:*")).Count > 0,
        () => "The replicas do not share the tag and the token.");

    /// <summary>Reads a body to its end and returns its digest.</summary>
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

/// <summary>Each of these tests starts five processes and many clients, so they run one at a time.</summary>
[CollectionDefinition(nameof(FleetOfHub))]
public sealed class OneFleetAtATime;
