using Amazon.Runtime;
using Amazon.S3;

namespace Mirror.Bench.Fleet;

/// <summary>A real S3 store: Debian's Ceph, one daemon of each kind, its data in memory.</summary>
internal static class Bucket
{
    public const string Key = "bench";
    public const string Name = "bench";

    public static readonly string[] Programs = ["/usr/bin/ceph-mon", "/usr/bin/ceph-osd", "/usr/bin/radosgw", "/usr/bin/ceph"];

    /// <summary>Starts it in a folder of its own, makes the bucket, and returns the gateway's port.</summary>
    public static int Start(string folder)
    {
        const string cluster = "2f7c5b52-7c1e-4d0f-9a43-5a2b1f0c9e77";
        const string storage = "8b1d2a34-7c1e-4d0f-9a43-5a2b1f0c9e77";
        foreach (var part in new[] { "mon", "osd", "rgw", "run", "log" })
            Directory.CreateDirectory(Path.Combine(folder, part));
        var (gateway, v2, v1) = (Daemon.FreePort(), Daemon.FreePort(), Daemon.FreePort());
        var (conf, keyring, map) = (Path.Combine(folder, "ceph.conf"), Path.Combine(folder, "keyring"), Path.Combine(folder, "monmap"));
        File.WriteAllText(conf, Settings(folder, cluster, v2, v1));

        Daemon.Run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *");
        foreach (var who in new[] { "client.admin", "client.rgw", "osd.0" })
            Daemon.Run("ceph-authtool", keyring, "--gen-key", "-n", who, "--cap", "mon", "allow *", "--cap", "osd", "allow *");
        Daemon.Run("monmaptool", "--create", "--clobber", "--fsid", cluster, "--addv", "a", $"[v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]", map);
        Daemon.Run("ceph-mon", "-c", conf, "--mkfs", "-i", "a", "--monmap", map, "--keyring", keyring);
        _ = new Daemon("ceph-mon", ["-c", conf, "-i", "a", "-f"]);
        Daemon.Run("ceph", "-c", conf, "--connect-timeout", "60", "osd", "new", storage);
        Daemon.Run("ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", storage);
        _ = new Daemon("ceph-osd", ["-c", conf, "-i", "0", "-f"]);
        while (!Daemon.Run("ceph", "-c", conf, "osd", "stat").Contains("1 up", StringComparison.Ordinal))
            Thread.Sleep(200);
        _ = new Daemon("radosgw", ["-c", conf, "-n", "client.rgw", $"--rgw_frontends=beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1", "-f"], gateway);
        Daemon.Run("radosgw-admin", "-c", conf, "-n", "client.rgw", "user", "create", "--uid=bench", "--display-name=bench", $"--access-key={Key}", $"--secret-key={Key}");
        using var client = new AmazonS3Client(new BasicAWSCredentials(Key, Key), new AmazonS3Config
        {
            ServiceURL = $"http://127.0.0.1:{gateway}",
            AuthenticationRegion = "us-east-1",
            ForcePathStyle = true,
        });
        client.PutBucketAsync(Name).GetAwaiter().GetResult();
        return gateway;
    }

    private static string Settings(string folder, string cluster, int v2, int v1) => $"""
        [global]
        fsid = {cluster}
        mon_host = v2:127.0.0.1:{v2}/0,v1:127.0.0.1:{v1}/0
        public_addr = 127.0.0.1
        cluster_addr = 127.0.0.1
        auth_allow_insecure_global_id_reclaim = false
        osd_pool_default_size = 1
        osd_pool_default_min_size = 1
        osd_pool_default_pg_num = 8
        osd_pool_default_pg_autoscale_mode = off
        osd_crush_chooseleaf_type = 0
        mon_allow_pool_size_one = true
        osd_objectstore = memstore
        memstore_device_bytes = 8589934592
        run_dir = {folder}/run
        admin_socket = {folder}/run/$name.$pid.asok
        log_file = {folder}/log/$name.log
        pid_file = {folder}/run/$name.pid
        keyring = {folder}/keyring
        mon_data = {folder}/mon
        osd_data = {folder}/osd
        rgw_data = {folder}/rgw
        crash_dir = {folder}/run
        rgw_dns_name = 127.0.0.1
        rgw_enable_usage_log = false
        rgw_run_sync_thread = false
        rgw_enable_quota_threads = false

        """;
}
