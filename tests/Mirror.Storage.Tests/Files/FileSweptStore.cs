using Mirror.Storage.Stores;
using Mirror.Storage.Tests.Sweeping;
using Mirror.Tests.Peers;

namespace Mirror.Storage.Tests.Files;

/// <summary>A folder that is swept.</summary>
internal sealed class FileSweptStore(TempFolder folder) : SweptStore(FileStore.In(folder))
{
    public FileSweptStore() : this(new TempFolder())
    {
    }

    public string Root => folder.Path;

    public override Task AgeAsync(TimeSpan by)
    {
        foreach (var file in Files())
            File.SetLastWriteTimeUtc(file, File.GetLastWriteTimeUtc(file) - by);
        return Task.CompletedTask;
    }

    public override Task<List<string>> PathsAsync() => Task.FromResult(
        Files().Select(file => Path.GetRelativePath(Root, file)).Where(path => path != RegistryLayout.SweepLock).Order().ToList());

    public override Task DamageAsync(string path) => File.WriteAllTextAsync(Path.Combine(Root, path), "", Stop);

    public override Task UnsetTagAsync(RepositoryName name, string tag)
    {
        File.Delete(Path.Combine(Root, RegistryLayout.TagCurrent(name, tag)));
        return Task.CompletedTask;
    }

    public override void Dispose() => folder.Dispose();

    private IEnumerable<string> Files() => Directory.EnumerateFiles(Root, "*", SearchOption.AllDirectories);
}
