using Mirror.Storage.Buckets;
using Mirror.Storage.Stores;
using Mirror.Storage.Tests.Sweeping;

namespace Mirror.Storage.Tests.Buckets;

/// <summary>A bucket for the tests of sweeps.</summary>
internal sealed class BucketSweptStore : SweptStore
{
    private readonly BucketStore _store;
    // No client can set the date of an object, so this process changes the dates that the store gives.
    private readonly List<(DateTimeOffset At, TimeSpan By)> _ages;

    private BucketSweptStore(BucketStore store, Stores stores, List<(DateTimeOffset At, TimeSpan By)> ages) : base(stores) =>
        (_store, _ages) = (store, ages);

    public IBucket Bucket => _store.Bucket;

    public static async Task<BucketSweptStore> CreateAsync(BucketStore store)
    {
        List<(DateTimeOffset At, TimeSpan By)> ages = [];
        var stores = store.Open(
            await store.SettingsAsync(), date => ages.Where(age => age.At < date).Aggregate(date, (now, age) => now + age.By));
        return new(store, stores, ages);
    }

    /// <summary>Another process at the same bucket.</summary>
    public async Task<(BucketStore Store, Stores Stores)> AnotherAsync()
    {
        var store = _store.Another();
        return (store, await store.OpenAsync());
    }

    public override async Task AgeAsync(TimeSpan by)
    {
        var now = await NowAsync();
        // A store that counts whole seconds gives the same date to what is written next, until its next second.
        while (await NowAsync() == now)
            await Task.Delay(TimeSpan.FromMilliseconds(50), Stop);
        await Bucket.DeleteAsync("mirror/now", Stop);
        _ages.Add((now - _ages.Aggregate(TimeSpan.Zero, (sum, age) => sum + age.By), by));
    }

    private async Task<DateTimeOffset> NowAsync()
    {
        await Bucket.PutTextAsync("mirror/now", "", Stop);
        return (await Bucket.FindAsync("mirror/now", Stop))!.Value.Written;
    }

    public override async Task<List<string>> PathsAsync()
    {
        List<string> paths = [];
        foreach (var folder in new[] { "docker", "mirror" })
            await foreach (var (path, _, _) in Bucket.ListFolderAsync(folder, Stop))
                if (!path.StartsWith(RegistryLayout.AllClaims, StringComparison.Ordinal))
                    paths.Add(path);
        return paths;
    }

    public override async Task DamageAsync(string path) => await Bucket.PutTextAsync(path, "", Stop);

    public override async Task UnsetTagAsync(RepositoryName name, string tag) =>
        await Bucket.DeleteAsync(RegistryLayout.TagCurrent(name, tag), Stop);

    public override void Dispose() => _store.Dispose();
}
