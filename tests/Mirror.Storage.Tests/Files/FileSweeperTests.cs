using Mirror.Storage.Stores;
using Mirror.Storage.Tests.Sweeping;
using Xunit;

namespace Mirror.Storage.Tests.Files;

public sealed class FileSweeperTests : SweeperTests
{
    private protected override Task<SweptStore> CreateAsync() => Task.FromResult<SweptStore>(new FileSweptStore());
}

public sealed class FileRaceTests : RaceTests
{
    private protected override Task<SweptStore> CreateAsync() => Task.FromResult<SweptStore>(new FileSweptStore());
}

/// <summary>What only the file store does in a sweep.</summary>
public sealed class FileLeftoverTests : IDisposable
{
    private static readonly RepositoryName App = RepositoryName.Parse("local/app");

    private readonly FileSweptStore _store = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => _store.Dispose();

    [Fact]
    public async Task Content_that_a_dead_sweep_renamed_is_still_there()
    {
        var config = await _store.BlobAsync(App, "config");
        var image = await _store.ImageAsync(App, "1", config);
        string[] paths = [RegistryLayout.BlobData(config), RegistryLayout.LayerLink(App, config), RegistryLayout.RevisionLink(App, image)];
        foreach (var path in paths)
            File.Move(Path.Combine(_store.Root, path), Path.Combine(_store.Root, path) + ".swept");

        Assert.True(await _store.HasAsync(config));
        Assert.True(await _store.References.HasBlobAsync(App, config, Stop));
        Assert.True((await _store.References.FindManifestAsync(App, image, Stop)).Linked);
        await _store.AgeAsync(TimeSpan.FromHours(2));
        Assert.Equal(0, (await _store.SweepAsync()).Blobs);
        Assert.Null(await _store.PushProtection.TouchAllAsync(App, [config], [image], Stop));
    }

    [Fact]
    public async Task Leftovers_are_deleted_unless_a_process_continues_them()
    {
        Digest idle = Digest.Of("idle"u8), used = Digest.Of("used"u8);
        await using (var spool = await _store.Content.SpoolAsync(idle, Stop))
            spool.Append("id"u8);
        await using var running = await _store.Content.SpoolAsync(used, Stop);
        running.Append("us"u8);
        Directory.CreateDirectory(Path.Combine(_store.Root, RegistryLayout.Temporary));
        await File.WriteAllTextAsync(Path.Combine(_store.Root, RegistryLayout.Temporary, "half"), "half", Stop);

        await _store.AgeAsync(TimeSpan.FromDays(2));
        Assert.Equal((1, 4), await LeftoversAsync());
        await _store.AgeAsync(TimeSpan.FromDays(6));
        Assert.Equal((1, 2), await LeftoversAsync());
        Assert.Equal([RegistryLayout.Fill(used)], await _store.PathsAsync());
    }

    private async Task<(int, long)> LeftoversAsync()
    {
        var result = await _store.SweepAsync();
        return (result.Leftovers, result.Bytes);
    }
}
