using System.Runtime.CompilerServices;
using System.Text;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Import;

/// <summary>What became of one tag of docker-registry 0.x.</summary>
/// <param name="Target">The image of today.</param>
/// <param name="Digest">Of its manifest; null where it is not imported.</param>
/// <param name="Layers">How many layers it has.</param>
/// <param name="Bytes">Of its layers. In a dry run, as they are in the old store.</param>
/// <param name="Problem">Why it is not imported; null where nothing hinders.</param>
/// <param name="WasThere">Whether an earlier run has imported it.</param>
public sealed record V1Outcome(V1Tag Source, string Target, Digest? Digest, int Layers, long Bytes, string? Problem, bool WasThere);

/// <summary>Which images to import, and where to.</summary>
public sealed record V1ImportOptions
{
    /// <summary>The first components of each name, such as <c>local</c>; empty: none.</summary>
    public string Into { get; init; } = "";

    /// <summary>Only list the images.</summary>
    public bool DryRun { get; init; }

    /// <summary>Whether clients may push to a repository.</summary>
    public required Predicate<RepositoryName> IsHosted { get; init; }
}

/// <summary>
/// Makes images of today, of schema 2, of those in a storage of docker-registry 0.x. It changes nothing there. A run that was interrupted
/// is continued by the next one.
/// </summary>
public sealed class V1Import : IDisposable
{
    private const string OfLibrary = "library/";

    private readonly IV1Files _files;
    private readonly ImportTarget _target;
    private readonly V1ImportOptions _options;
    private readonly LayerRecords? _records;
    private readonly V1Layers? _layers;

    /// <param name="stores">The store to import into.</param>
    /// <param name="folder">A folder of this machine for the record of converted layers.</param>
    /// <exception cref="IOException">The record cannot be written, or another import of the same images is running.</exception>
    public V1Import(IV1Files files, V1ImportOptions options, IServiceProvider stores, string folder)
    {
        (_files, _options) = (files, options);
        _target = new ImportTarget(
            stores.GetRequiredService<IContentStore>(), stores.GetRequiredService<IReferenceStore>(),
            stores.GetRequiredService<IProvenanceStore>(), stores.GetRequiredService<IUploadStore>(),
            stores.GetRequiredService<TimeProvider>());
        if (options.DryRun)
            return;
        var source = Digest.Of(Encoding.UTF8.GetBytes(files.Name)).Hex[..16];
        _records = new LayerRecords(Path.Combine(folder, RegistryLayout.Imports, source));
        _layers = new V1Layers(files, _target, _records);
    }

    /// <summary>How many bytes of layers were read.</summary>
    public long Read => _layers?.Read ?? 0;

    public void Dispose() => _records?.Dispose();

    /// <summary>Imports every image, one after the other.</summary>
    /// <exception cref="IOException">A store cannot be read or written.</exception>
    public async IAsyncEnumerable<V1Outcome> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var tag in _files.TagsAsync(cancellationToken))
            yield return await ImportAsync(tag, cancellationToken);
    }

    private async Task<V1Outcome> ImportAsync(V1Tag tag, CancellationToken cancellationToken)
    {
        var text = NameOf(tag.Repository, _options.Into);
        var outcome = new V1Outcome(tag, $"{text}:{tag.Tag}", null, 0, 0, null, WasThere: false);
        if (!RepositoryName.TryParse(text, out var name))
            return outcome with { Problem = $"{text} is no name of a repository of today" };
        if (!Reference.IsTagName(tag.Tag))
            return outcome with { Problem = $"{tag.Tag} is no tag of today" };
        if (!_options.IsHosted(name))
            return outcome with
            {
                Problem = $"clients cannot push to {name}; add it to hosted.repositories, or choose other names with --into",
            };
        try
        {
            var image = await V1Image.ReadAsync(_files, tag, cancellationToken);
            outcome = outcome with { Layers = image.Layers.Count };
            return _layers is null
                ? outcome with { Bytes = await SizeAsync(image, cancellationToken) }
                : await ImportAsync(_layers, name, tag, image, outcome, cancellationToken);
        }
        catch (InvalidDataException damage)
        {
            return outcome with { Problem = damage.Message };
        }
    }

    private async Task<V1Outcome> ImportAsync(
        V1Layers stored, RepositoryName name, V1Tag tag, V1Image image, V1Outcome outcome, CancellationToken cancellationToken)
    {
        List<StoredLayer> layers = [];
        foreach (var (id, _) in image.Layers)
            layers.Add(await stored.StoreAsync(name, id, cancellationToken));
        var config = V1Conversion.Config(image, layers);
        var manifest = V1Conversion.Manifest(config, layers);
        if (manifest.Bytes.Length > Manifest.MaxBytes)
            throw new InvalidDataException("its manifest would be longer than clients take");
        var digest = manifest.Descriptor.Digest;
        outcome = outcome with { Bytes = layers.Sum(layer => layer.Size) };
        // What a client has pushed since is newer.
        var there = await _target.TagAsync(name, tag.Tag, cancellationToken);
        if (there is { } other && other != digest)
            return outcome with { Problem = $"{name}:{tag.Tag} exists, and is another image: {other}" };
        await _target.TagAsync(name, tag.Tag, manifest, config, layers.Select(layer => layer.Digest), cancellationToken);
        return outcome with { Digest = digest, WasThere = there is not null };
    }

    private async Task<long> SizeAsync(V1Image image, CancellationToken cancellationToken)
    {
        long bytes = 0;
        foreach (var (id, _) in image.Layers)
            bytes += await _files.SizeAsync($"images/{id}/layer", cancellationToken)
                ?? throw new InvalidDataException($"images/{id}/layer is missing");
        return bytes;
    }

    // library/ubuntu is HOST/ubuntu, as clients of docker-registry called it. Names have no capitals today.
    private static string NameOf(string repository, string into)
    {
        var name = repository.StartsWith(OfLibrary, StringComparison.Ordinal) ? repository[OfLibrary.Length..] : repository;
        return $"{(into is "" ? "" : $"{into.Trim('/')}/")}{name}".ToLowerInvariant();
    }
}
