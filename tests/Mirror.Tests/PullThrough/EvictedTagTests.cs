using System.Reflection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.Files;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>An eviction removes an image in the moment in which a client's request moves its tag.</summary>
public sealed class EvictedTagTests
{
    private const string Tag = "1";
    private static readonly RepositoryName Name = RepositoryName.Parse("library/nginx");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_tag_names_a_manifest_that_was_evicted_and_the_tag_comes_back_with_it()
    {
        using var folder = new TempFolder();
        var store = new FileReferenceStore(folder.Path);
        var evicting = DispatchProxy.Create<IReferenceStore, EvictingStore>();
        ((EvictingStore)(object)evicting).Store = store;
        var options = new MirrorOptions { Proxy = { TagsCacheTtl = TimeSpan.FromMinutes(5) } };
        var keys = new RedisKeys(new(options.Http), new FleetIdentity(options, NullLogger<FleetIdentity>.Instance));
        var time = new FakeTimeProvider();
        using var announcements = new Announcements(keys, time);
        var shared = new FleetCache(new(options.Http), null!, keys, null!);
        using var freshness = new TagFreshness(new CachePolicies(new LiveOptions(options)), shared, announcements, time);
        using var tags = new MirroredTags(freshness, shared, evicting, null!, null!);
        var manifest = new Descriptor("type", Digest.Of([1]), 1);

        await store.LinkManifestAsync(Name, manifest.Digest, "type", Cancel);
        await tags.RecordCheckAsync(Name, Tag, manifest, isStored: true, isStale: false, Cancel);
        Assert.Null(await store.ResolveTagAsync(Name, Tag, Cancel));

        await store.LinkManifestAsync(Name, manifest.Digest, "type", Cancel);
        await tags.ManifestStoredAsync(Name, manifest.Digest, Cancel);
        Assert.Equal(manifest.Digest, await store.ResolveTagAsync(Name, Tag, Cancel));
    }

    /// <summary>A store in which an eviction has just removed the manifest that the first tag is set to.</summary>
    public class EvictingStore : DispatchProxy
    {
        private bool _isOver;

        internal IReferenceStore Store { get; set; } = null!;

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
        {
            if (targetMethod!.Name == nameof(IReferenceStore.SetTagAsync) && !_isOver)
            {
                _isOver = true;
                return new ValueTask(EvictAsync((RepositoryName)args![0]!, (string)args[1]!, (Digest)args[2]!));
            }
            return targetMethod.Invoke(Store, args);
        }

        private async Task EvictAsync(RepositoryName name, string tag, Digest digest)
        {
            await Store.UnlinkManifestAsync(name, digest, Cancel);
            await Store.SetTagAsync(name, tag, digest, Cancel);
        }
    }
}
