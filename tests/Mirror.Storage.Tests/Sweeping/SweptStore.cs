using System.Text;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;
using Xunit;

namespace Mirror.Storage.Tests.Sweeping;

/// <summary>A store of its own for one test, with what pushes do to it, and a way to make its content older.</summary>
internal abstract class SweptStore(Stores stores) : IDisposable
{
    public IContentStore Content => stores.Content;

    public IReferenceStore References => stores.References;

    public IProvenanceStore Provenance => stores.Provenance;

    public ISweepStore Sweepable => stores.Sweepable;

    public PushProtection PushProtection { get; } = new(stores.Content, stores.References);

    protected static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Makes everything stored so far older.</summary>
    public abstract Task AgeAsync(TimeSpan by);

    /// <summary>The paths of all files or objects in order, without those of sweeps themselves.</summary>
    public abstract Task<List<string>> PathsAsync();

    /// <summary>Overwrites a file or an object, as a broken disk might.</summary>
    public abstract Task DamageAsync(string path);

    /// <summary>Leaves a tag as a push does that ends before it has set it: with its index only.</summary>
    public abstract Task UnsetTagAsync(RepositoryName name, string tag);

    public abstract void Dispose();

    public async Task<SweepResult> SweepAsync(SweepOptions? options = null) =>
        await new Sweeper(Content, References, Sweepable, Provenance).SweepAsync(options ?? new SweepOptions(), null, Stop)
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

    /// <summary>Marks how content came into the repository.</summary>
    public async Task<Digest> MarkAsync(RepositoryName name, Digest digest, Provenance provenance)
    {
        await Provenance.MarkAsync(name, digest, provenance, Stop);
        return digest;
    }

    /// <summary>A manifest with a config and layers, linked, and tagged where there is a tag.</summary>
    public Task<Digest> ImageAsync(RepositoryName name, string? tag, Digest config, params Digest[] layers) =>
        ManifestAsync(name, tag, Image(config, layers));

    public static string Image(Digest config, Digest[] layers, Digest? subject = null)
    {
        var refers = subject is { } digest ? $$""","subject":{{Entry(digest)}}""" : "";
        return $$"""
            {"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","config":{{Entry(config)}},
             "layers":[{{string.Join(',', layers.Select(Entry))}}]{{refers}}}
            """;
    }

    public static string Index(params Digest[] manifests) =>
        $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[{{string.Join(',', manifests.Select(Entry))}}]}""";

    public Task<Digest> ManifestAsync(RepositoryName name, string? tag, string json) =>
        ManifestAsync(name, tag, Encoding.UTF8.GetBytes(json));

    public async Task<Digest> ManifestAsync(RepositoryName name, string? tag, byte[] bytes)
    {
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
