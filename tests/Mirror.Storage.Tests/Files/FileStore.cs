using Mirror.Storage.Files;
using Mirror.Tests.Peers;

namespace Mirror.Storage.Tests.Files;

public sealed class FileContentStoreTests : ContentStoreTests
{
    private readonly TempFolder _folder = new();

    protected override Task<Stores> CreateAsync() => Task.FromResult(FileStore.In(_folder));

    public override ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return base.DisposeAsync();
    }
}

public sealed class FileReferenceStoreTests : ReferenceStoreTests
{
    private readonly TempFolder _folder = new();

    protected override Task<Stores> CreateAsync() => Task.FromResult(FileStore.In(_folder));

    public override ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return base.DisposeAsync();
    }
}

internal static class FileStore
{
    internal static Stores In(TempFolder folder) =>
        new(
            new FileContentStore(folder.Path), new FileReferenceStore(folder.Path),
            new FileReferrerStore(folder.Path), new FileSweepStore(folder.Path),
            new FileProvenanceStore(folder.Path));
}
