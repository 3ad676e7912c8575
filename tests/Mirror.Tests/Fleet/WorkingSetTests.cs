using System.Globalization;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Mirror.Tests.Stores;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary><c>proxy.max_size</c> of a bucket and two replicas while clients pull twice as much: see <see cref="WorkingSet"/>.</summary>
public sealed class WorkingSetTests() : FleetOfHub(StoreKind.S3)
{
    private const long Unit = 128 << 10;

    public static bool IsFull => Figures.Full;

    protected override int Count => 2;

    protected override MirrorSettings Settings(int replica)
    {
        var settings = base.Settings(replica);
        return settings with
        {
            Environment = new Dictionary<string, string>(settings.Environment!)
            {
                ["REGISTRY_PROXY_MAX_SIZE"] = WorkingSet.LimitOf(Unit).ToString(CultureInfo.InvariantCulture),
            },
        };
    }

    [Fact(SkipUnless = nameof(IsFull), Skip = "takes 20 minutes: MIRROR_TESTS=full")]
    public async Task A_cache_of_half_the_working_set_keeps_its_limit_its_pins_and_what_was_pushed_and_fails_no_pull()
    {
        var token = await File.ReadAllTextAsync(Path.Combine(Volume.Folder("scratch-0"), "mirror", "admin-token"), Cancel);
        await new WorkingSet(Hub, Unit, Replicas, $"Bearer {token.Trim()}", ListAsync).RunAsync();
    }

    private async Task<Dictionary<string, long>> ListAsync()
    {
        Dictionary<string, long> objects = [];
        await foreach (var (path, _, size) in Bucket!.ListAsync("docker/", null, Cancel))
            objects[path] = size;
        return objects;
    }
}
