using System.Globalization;
using Amazon.Runtime;
using Amazon.S3;

namespace Mirror.Tests.Peers;

/// <summary>
/// A real S3 store, nothing of which outlives it: Ceph's monitor, one storage daemon with its data in memory, and
/// the gateway that speaks S3.
/// </summary>
public sealed class Radosgw : IAsyncDisposable
{
    public const string AccessKey = "test";
    public const string SecretKey = "testing123";
    public const string Bucket = "mirror";

    private readonly TempFolder _folder = new();
    private readonly long _capacity;
    private readonly List<PeerProcess> _daemons = [];

    // Two gateways to one store, so that one can be lost while other tests use the other.
    private readonly Dictionary<string, (Uri Url, PeerProcess Process)> _gateways = [];

    private Radosgw(long capacity) => _capacity = capacity;

    public static Availability Availability => Availability.Of("ceph-mon", "ceph-osd", "radosgw", "ceph-authtool", "monmaptool", "ceph");

    /// <summary>The gateway that is always there.</summary>
    public Uri Url => _gateways["a"].Url;

    /// <summary>The address of the bucket itself, at the gateway that is always there.</summary>
    public Uri BucketUrl => new($"http://{Bucket}.localhost:{Url.Port}");

    /// <summary>
    /// The gateway that tests of faults may lose, by <see cref="KillGatewayAsync"/>; there is none before <see cref="StartGatewayAsync"/>.
    /// </summary>
    public Uri FragileUrl => _gateways["b"].Url;

    private string Config => _folder["ceph.conf"];

    /// <param name="capacity">
    /// How many bytes fit in. Deleted bytes take up room for two more hours. A full store does not answer requests that write.
    /// </param>
    public static async Task<Radosgw> StartAsync(long capacity = 4L << 30)
    {
        var store = new Radosgw(capacity);
        try
        {
            await store.StartDaemonsAsync();
            await store.StartAsync("a");
            await PeerProcess.RunAsync("radosgw-admin",
            [
                "-c", store.Config, "-n", "client.rgw.a", "user", "create", "--uid=test", "--display-name=test",
                $"--access-key={AccessKey}", $"--secret-key={SecretKey}",
            ]);
            using var client = store.Client();
            await client.PutBucketAsync(Bucket);
            return store;
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }
    }

    /// <summary>A client to look into the store with.</summary>
    public AmazonS3Client Client() => new(new BasicAWSCredentials(AccessKey, SecretKey), new AmazonS3Config
    {
        ServiceURL = Url.OriginalString,
        AuthenticationRegion = "us-east-1",
        ForcePathStyle = true,
        RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
        ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
    });

    /// <summary>Starts the fragile gateway.</summary>
    public Task StartGatewayAsync() => StartAsync("b");

    /// <summary>SIGKILL to the fragile gateway.</summary>
    public Task KillGatewayAsync() => _gateways["b"].Process.KillAsync();

    /// <summary>Lets the fragile gateway take requests and answer none, until <see cref="WakeGateway"/>.</summary>
    public void HangGateway() => _gateways["b"].Process.Signal("STOP");

    /// <summary>Ends what <see cref="HangGateway"/> began.</summary>
    public void WakeGateway() => _gateways["b"].Process.Signal("CONT");

    public async ValueTask DisposeAsync()
    {
        // There is nothing to keep, and the storage daemon is slow to stop by itself.
        foreach (var process in _gateways.Values.Select(gateway => gateway.Process).Concat(Enumerable.Reverse(_daemons)))
        {
            await process.KillAsync();
            await process.DisposeAsync();
        }
        _folder.Dispose();
    }

    private async Task StartAsync(string name)
    {
        var again = _gateways.TryGetValue(name, out var known);
        if (again && !known.Process.HasExited)
            return;
        // A free port is asked for when it is needed: others on this machine ask, too.
        var url = again ? known.Url : new Uri($"http://127.0.0.1:{Ports.Free()}");
        var process = PeerProcess.Start("radosgw",
            ["-c", Config, "-n", $"client.rgw.{name}", $"--rgw_frontends=beast endpoint={url.Authority} tcp_nodelay=1", "-f"]);
        _gateways[name] = (url, process);
        await process.UntilAnswersAsync(url);
    }

    private async Task StartDaemonsAsync()
    {
        const string cluster = "6f0c2d0e-0d2a-4a53-9c5e-4a1d7a3f8e01";
        const string storage = "11111111-0d2a-4a53-9c5e-4a1d7a3f8e01";
        foreach (var folder in new[] { "mon.a", "osd.0", "rgw.rgw.a", "rgw.rgw.b", "run", "log", "crash" })
            _folder.Folder(folder);
        var (v2, v1) = (Ports.Free(), Ports.Free());
        _folder.Write("ceph.conf", Settings(cluster, v2, v1));
        var keyring = _folder["keyring"];
        string[] config = ["-c", Config];

        await PeerProcess.RunAsync("ceph-authtool", ["--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *"]);
        foreach (var who in new[] { "client.admin", "client.rgw.a", "client.rgw.b", "osd.0" })
            await PeerProcess.RunAsync("ceph-authtool",
                [keyring, "--gen-key", "-n", who, "--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *"]);
        var map = _folder["monmap"];
        await PeerProcess.RunAsync("monmaptool",
            ["--create", "--clobber", "--fsid", cluster, "--addv", "a", $"[v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]", map]);
        await PeerProcess.RunAsync("ceph-mon", [.. config, "--mkfs", "-i", "a", "--monmap", map, "--keyring", keyring]);
        _daemons.Add(PeerProcess.Start("ceph-mon", [.. config, "-i", "a", "-f"]));
        await PeerProcess.RunAsync("ceph", [.. config, "--connect-timeout", "30", "osd", "new", storage]);
        await PeerProcess.RunAsync("ceph-osd", [.. config, "-i", "0", "--mkfs", "--osd-uuid", storage]);
        var osd = PeerProcess.Start("ceph-osd", [.. config, "-i", "0", "-f"]);
        _daemons.Add(osd);
        await osd.UntilAsync(
            async () => (await PeerProcess.RunAsync("ceph", [.. config, "osd", "stat"])).Contains("1 up", StringComparison.Ordinal));
    }

    private string Settings(string cluster, int v2, int v1) => string.Create(CultureInfo.InvariantCulture, $"""
        [global]
        fsid = {cluster}
        mon_host = v2:127.0.0.1:{v2}/0,v1:127.0.0.1:{v1}/0
        public_addr = 127.0.0.1
        cluster_addr = 127.0.0.1
        auth_cluster_required = cephx
        auth_service_required = cephx
        auth_client_required = cephx
        auth_allow_insecure_global_id_reclaim = false
        osd_pool_default_size = 1
        osd_pool_default_min_size = 1
        osd_pool_default_pg_num = 8
        osd_pool_default_pg_autoscale_mode = off
        osd_crush_chooseleaf_type = 0
        mon_allow_pool_size_one = true
        mon_data_avail_crit = 1
        mon_max_pg_per_osd = 1000
        osd_objectstore = memstore
        memstore_device_bytes = {_capacity}
        run_dir = {_folder.Path}/run
        admin_socket = {_folder.Path}/run/$name.asok
        log_file = {_folder.Path}/log/$name.log
        pid_file = {_folder.Path}/run/$name.pid
        keyring = {_folder.Path}/keyring
        mon_data = {_folder.Path}/mon.$id
        osd_data = {_folder.Path}/osd.$id
        rgw_data = {_folder.Path}/rgw.$id
        crash_dir = {_folder.Path}/crash
        rgw_thread_pool_size = 64
        rgw_dns_name = localhost
        rgw_enable_usage_log = false
        rgw_run_sync_thread = false
        rgw_enable_quota_threads = false

        """);
}

/// <summary>One store for all tests of an assembly, started by the first that asks.</summary>
public sealed class SharedRadosgw : IAsyncDisposable
{
    private static readonly Lazy<Task<Radosgw>> Started = new(() => Radosgw.StartAsync());

    /// <summary>The store; skips the running test where it cannot be run.</summary>
    public static Task<Radosgw> OrSkipAsync()
    {
        Radosgw.Availability.OrSkip();
        return Started.Value;
    }

    public async ValueTask DisposeAsync()
    {
        // One that did not start has told those who asked for it.
        if (Started is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            await (await Started.Value).DisposeAsync();
    }
}
