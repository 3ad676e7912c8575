using System.Text;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;
using Xunit;

namespace Mirror.Storage.Tests.Sweeping;

/// <summary>A store in a folder of its own, what pushes do to it, and how time passes in it.</summary>
internal abstract class SweptStore(Stores stores) : IDisposable
{
    public IContentStore Content => stores.Content;

    public IReferenceStore References => stores.References;

    public ISweepStore Sweepable => stores.Sweepable;

    public PushProtection PushProtection { get; } = new(stores.Content, stores.References);

    protected static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Makes everything stored so far older.</summary>
    public abstract Task AgeAsync(TimeSpan by);

    /// <summary>Everything that lies in the store but the traces of sweeps themselves, by its path, in their order.</summary>
    public abstract Task<List<string>> PathsAsync();

    /// <summary>Writes over a part of the store, as a disk or a hand might.</summary>
    public abstract Task DamageAsync(string path);

    public abstract void Dispose();

    public async Task<SweepResult> SweepAsync(SweepOptions? options = null) =>
        await new Sweeper(Content, References, Sweepable).SweepAsync(options ?? new SweepOptions(), null, Stop)
        ?? throw new InvalidOperationException("another sweep runs");

    /// <summary>A blob as an upload leaves it: stored, and linked into the repository.</summary>
    public async Task<Digest> BlobAsync(RepositoryName name, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var digest = Digest.Of(bytes);
        await Content.PutAsync(digest, bytes, Stop);
        await References.LinkBlobAsync(name, digest, Stop);
        return digest;
    }

    /// <summary>A manifest with a config and layers, linked and perhaps tagged.</summary>
    public Task<Digest> ImageAsync(RepositoryName name, string? tag, Digest config, params Digest[] layers) => ManifestAsync(name, tag, Image(config, layers));

    public static string Image(Digest config, Digest[] layers, Digest? subject = null) =>
        $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}",{{(subject is null ? "" : $"\"subject\":{Entry(subject.Value)},")}}"config":{{Entry(config)}},"layers":[{{string.Join(',', layers.Select(Entry))}}]}""";

    public static string Index(params Digest[] manifests) =>
        $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[{{string.Join(',', manifests.Select(Entry))}}]}""";

    public async Task<Digest> ManifestAsync(RepositoryName name, string? tag, string json)
    {
        var bytes = Encoding.UTF8.GetBytes(json);
        var digest = Digest.Of(bytes);
        await Content.PutAsync(digest, bytes, Stop);
        await References.LinkManifestAsync(name, digest, null, Stop);
        if (tag is not null)
            await References.SetTagAsync(name, tag, digest, Stop);
        return digest;
    }

    public async Task<bool> HasAsync(Digest digest) => await Content.SizeAsync(digest, Stop) is not null;

    private static string Entry(Digest digest) => $$"""{"mediaType":"application/octet-stream","size":1,"digest":"{{digest}}"}""";
}
