using System.Text;
using Mirror.Storage.Files;
using Mirror.Storage.Sweeping;
using Xunit;

namespace Mirror.Storage.Tests.Sweeping;

/// <summary>A store in a folder of its own, what pushes do to it, and how time passes in it.</summary>
internal sealed class SweptStore : IDisposable
{
    public SweptStore()
    {
        Root = Directory.CreateTempSubdirectory("sweep-").FullName;
        Content = new FileContentStore(Root);
        References = new FileReferenceStore(Root);
        Claims = new Claims(Content, References);
    }

    public string Root { get; }

    public FileContentStore Content { get; }

    public FileReferenceStore References { get; }

    public Claims Claims { get; }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async Task<SweepResult> SweepAsync(SweepOptions? options = null) =>
        await new Sweeper(Content, References, new FileSweepableStore(Root)).SweepAsync(options ?? new SweepOptions(), null, Stop)
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

    /// <summary>Makes everything stored so far older.</summary>
    public void Age(TimeSpan by)
    {
        foreach (var file in Directory.EnumerateFiles(Root, "*", SearchOption.AllDirectories))
            File.SetLastWriteTimeUtc(file, File.GetLastWriteTimeUtc(file) - by);
    }

    public IEnumerable<string> Files() => Directory.EnumerateFiles(Root, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Root, file)).Order();

    public void Dispose() => Directory.Delete(Root, recursive: true);

    private static string Entry(Digest digest) => $$"""{"mediaType":"application/octet-stream","size":1,"digest":"{{digest}}"}""";
}
