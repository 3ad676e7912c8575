using Mirror.Storage.Buckets;
using Mirror.Storage.Stores;
using Mirror.Storage.Tests.Sweeping;

namespace Mirror.Storage.Tests.S3;

/// <summary>A bucket for the tests of sweeps.</summary>
internal sealed class S3SweptStore : SweptStore
{
    private readonly S3Store _store;
    // No client can set the date of an object, so this process changes the dates that the store gives.
    private readonly List<(DateTimeOffset At, TimeSpan By)> _ages;

    private S3SweptStore(S3Store store, Stores stores, List<(DateTimeOffset At, TimeSpan By)> ages) : base(stores) =>
        (_store, _ages) = (store, ages);

    public IBucket Bucket => _store.Bucket;

    public static async Task<S3SweptStore> CreateAsync()
    {
        var (store, ages) = (new S3Store(), new List<(DateTimeOffset At, TimeSpan By)>());
        var stores = store.Open(
            await store.OptionsAsync(), date => ages.Where(age => age.At < date).Aggregate(date, (now, age) => now + age.By));
        return new(store, stores, ages);
    }

    /// <summary>Another process at the same bucket.</summary>
    public async Task<(S3Store Store, Stores Stores)> AnotherAsync()
    {
        var store = new S3Store();
        var options = await store.OptionsAsync();
        options.RootDirectory = _store.Root;
        return (store, store.Open(options));
    }

    public override async Task AgeAsync(TimeSpan by)
    {
        await Bucket.PutTextAsync("mirror/now", "", Stop);
        var now = (await Bucket.FindAsync("mirror/now", Stop))!.Value.Written;
        await Bucket.DeleteAsync("mirror/now", Stop);
        _ages.Add((now - _ages.Aggregate(TimeSpan.Zero, (sum, age) => sum + age.By), by));
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

    public override void Dispose() => _store.Dispose();
}
