using System.Reflection;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Memory;
using Xunit;

namespace Mirror.Storage.Tests.Buckets;

/// <summary>A store whose lists lack for a moment what was just written, as those of radosgw do.</summary>
public sealed class LateListTests
{
    private static readonly RepositoryName App = RepositoryName.Parse("local/app");
    private static readonly Digest Manifest = Digest.Of("1"u8);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_tag_that_was_just_set_and_a_manifest_that_was_just_linked_can_be_deleted()
    {
        using var memory = new MemoryBucket(new MemoryOptions(), TimeProvider.System);
        var bucket = DispatchProxy.Create<IBucket, LateBucket>();
        ((LateBucket)(object)bucket).Bucket = memory;
        var references = new BucketReferenceStore(bucket, TimeProvider.System);
        await references.LinkManifestAsync(App, Manifest, null, Cancel);
        await references.SetTagAsync(App, "1", Manifest, Cancel);

        Assert.True(await references.DeleteTagAsync(App, "1", Cancel));
        Assert.Null(await references.ResolveTagAsync(App, "1", Cancel));
        Assert.False(await references.DeleteTagAsync(App, "1", Cancel));

        Assert.True(await references.UnlinkManifestAsync(App, Manifest, Cancel));
        Assert.False((await references.FindManifestAsync(App, Manifest, Cancel)).Linked);
    }

    /// <summary>A bucket whose lists are empty.</summary>
    public class LateBucket : DispatchProxy
    {
        internal IBucket Bucket { get; set; } = null!;

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) =>
            targetMethod!.Name == nameof(IBucket.ListAsync)
                ? AsyncEnumerable.Empty<BucketObject>()
                : targetMethod.Invoke(Bucket, args);
    }
}
