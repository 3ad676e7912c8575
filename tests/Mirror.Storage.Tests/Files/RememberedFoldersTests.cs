using Mirror.Storage.Disk;
using Mirror.Storage.Files;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;
using Xunit;

namespace Mirror.Storage.Tests.Files;

/// <summary>
/// Lists of folders whose times have coarse steps, as ext3 and some network drives have: two changes within a second leave the folder with
/// the same time.
/// </summary>
public sealed class RememberedFoldersTests : IDisposable
{
    private static readonly RepositoryName App = RepositoryName.Parse("local/app");

    private readonly FileSweptStore _store = new();
    private readonly Clock _clock = new();
    private readonly FileReferenceStore _references;

    public RememberedFoldersTests() => _references = new FileReferenceStore(_store.Root, time: _clock);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string Tags => Path.Combine(_store.Root, RegistryLayout.Tags(App));

    public void Dispose() => _store.Dispose();

    [Fact]
    public async Task A_tag_that_follows_another_one_within_a_second_is_listed()
    {
        await TagAsync("a");
        // By the clock of this machine the last change is long ago.
        Directory.SetLastWriteTimeUtc(Tags, DateTime.UtcNow.AddHours(-1));
        Assert.Equal(["a"], await _references.ListTagsForClientAsync(App, Stop));
        await InTheSameStepAsync(Tags, () => TagAsync("b"));
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(["a", "b"], await _references.ListTagsForClientAsync(App, Stop));
        await InTheSameStepAsync(Tags, () => TagAsync("c"));
        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(["a", "b", "c"], await _references.ListTagsForClientAsync(App, Stop));
    }

    [Fact]
    public async Task A_repository_that_follows_another_one_within_a_second_is_listed()
    {
        var top = Path.Combine(_store.Root, RegistryLayout.Repositories);
        await _store.ImageAsync(RepositoryName.Parse("a"), "1", Digest.Of("x"u8));
        Directory.SetLastWriteTimeUtc(top, DateTime.UtcNow.AddHours(-1));
        Assert.Equal(["a"], await NamesAsync());
        await InTheSameStepAsync(top, () => _store.ImageAsync(RepositoryName.Parse("b"), "1", Digest.Of("x"u8)));
        Assert.Equal(["a", "b"], await NamesAsync());
    }

    [Fact]
    public async Task A_list_is_read_from_memory_while_the_folder_stays_the_same()
    {
        await TagAsync("a");
        for (var i = 0; i < 2; i++)
        {
            await _references.ListTagsForClientAsync(App, Stop);
            _clock.Advance(TimeSpan.FromMinutes(1));
        }
        Assert.Same(await _references.ListTagsForClientAsync(App, Stop), await _references.ListTagsForClientAsync(App, Stop));
    }

    [Fact]
    public async Task A_collection_sees_a_tag_that_a_remembered_list_lacks()
    {
        await TagAsync("a");
        for (var i = 0; i < 2; i++)
        {
            await _references.ListTagsForClientAsync(App, Stop);
            _clock.Advance(TimeSpan.FromMinutes(1));
        }
        var image = Digest.Of([]);
        await InTheSameStepAsync(Tags, async () => image = await _store.ImageAsync(App, "b", await _store.BlobAsync(App, "config")));
        await _store.AgeAsync(TimeSpan.FromHours(2));

        await new Sweeper(_store.Content, _references, _store.Sweepable, _store.Provenance)
            .SweepAsync(new SweepOptions { DeleteUntagged = true }, null, Stop);
        Assert.True((await _references.FindManifestAsync(App, image, Stop)).Linked);
        Assert.True(await _store.HasAsync(image));
        // A deletion of the manifest deletes these tags.
        Assert.Contains("b", await ((IReferenceStore)_references).ListTagsAsync(App, image, Stop));
    }

    [Fact]
    public async Task A_folder_that_could_not_be_read_is_read_again()
    {
        var reads = 0;
        RememberedFolders<string[]> folders = new(Read, names => names.Length, new UnreadableFolders(), _clock);
        for (var i = 0; i < 3; i++)
        {
            folders.Read(_store.Root);
            _clock.Advance(TimeSpan.FromMinutes(1));
        }
        Assert.Equal(3, reads);

        string[] Read(string path, UnreadableFolders unreadable)
        {
            reads++;
            unreadable.Add(path);
            return [];
        }
    }

    private Task TagAsync(string tag) => _references.SetTagAsync(App, tag, Digest.Of("x"u8), Stop).AsTask();

    private static async Task InTheSameStepAsync(string folder, Func<Task> change)
    {
        var changed = Directory.GetLastWriteTimeUtc(folder);
        await change();
        Directory.SetLastWriteTimeUtc(folder, changed);
    }

    private async Task<List<string>> NamesAsync() =>
        await _references.ListRepositoriesAfterAsync("", Stop).Select(name => name.ToString()).ToListAsync(Stop);

    private sealed class Clock : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now;

        public void Advance(TimeSpan by) => _now += by.Ticks;
    }
}
