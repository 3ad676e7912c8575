using System.CommandLine;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Mirror.Schema1;
using Mirror.Storage;
using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Commands;

/// <summary><c>schema1 list</c>: the images of schema 1 in a store, which Docker and containerd of today refuse.</summary>
internal static class Schema1Command
{
    private const string Advice =
        "Docker and containerd of today refuse these. Push each again, from its Dockerfile or with: skopeo copy --format v2s2 "
        + "docker://HOST/NAME:TAG docker://HOST/NAME:TAG. See docs/schema1.md.";

    public static Command Create(IReadOnlyDictionary<string, string> environment)
    {
        var file = new ConfigurationArgument(environment);
        Option<bool> json = new("--json") { Description = "Write each image as one line of JSON." };
        var list = new Command("list", "List the images of Docker's schema 1 in the store. Servers may run.") { file.Argument, json };
        list.SetAction(async (parsed, stop) =>
        {
            if (file.Load(parsed) is not { } configuration)
                return ExitCode.Failed;
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            await using var stores = await StoreArgument.OpenAsync(configuration.Options.Storage, error);
            if (stores is null)
                return ExitCode.Failed;
            try
            {
                await WriteAsync(stores, parsed.GetValue(json), output, stop);
            }
            catch (Exception failure) when (failure.IsStoreFailure)
            {
                await error.WriteLineAsync($"error: the store cannot be read to its end: {failure.Message}");
                return ExitCode.Failed;
            }
            if (stores.GetService<UnreadableFolders>()?.Any is not { } unreadable)
                return ExitCode.Ok;
            await error.WriteLineAsync($"error: what is in {unreadable} is not in the list: this user may not read it");
            return ExitCode.Failed;
        });
        return new Command("schema1", "Find images of Docker's schema 1, which Docker and containerd of today refuse.") { list };
    }

    private static async Task WriteAsync(IServiceProvider stores, bool asJson, TextWriter output, CancellationToken stop)
    {
        var count = 0;
        await foreach (var image in FindAsync(stores, stop))
        {
            count++;
            await output.WriteLineAsync(asJson
                ? JsonSerializer.Serialize(image, Schema1Json.Default.Schema1Image)
                : $"{image.Repository}{(image.Tag is { } tag ? $":{tag}" : "")}@{image.Digest}  {image.Layers} layers");
        }
        if (!asJson)
            await output.WriteLineAsync($"{count} images of schema 1");
        if (!asJson && count > 0)
            await output.WriteLineAsync(Advice);
    }

    // Each tag that names one, and then each one of the repository that no tag names.
    private static async IAsyncEnumerable<Schema1Image> FindAsync(
        IServiceProvider stores, [EnumeratorCancellation] CancellationToken stop)
    {
        var references = stores.GetRequiredService<IReferenceStore>();
        var content = stores.GetRequiredService<IContentStore>();
        var sweeps = stores.GetRequiredService<ISweepStore>();
        await foreach (var name in references.ListRepositoriesAsync(stop))
        {
            Dictionary<Digest, int> found = [];
            await foreach (var (digest, _) in sweeps.ListManifestsAsync(name, stop))
                if (ManifestDocument.Read((await content.ReadAllAsync(digest, Manifest.MaxBytes, stop)).Bytes) is { } document
                    && Schema1Manifests.IsPayload(document))
                    found.Add(digest, document.Blobs.Count());
            if (found.Count == 0)
                continue;
            HashSet<Digest> tagged = [];
            foreach (var tag in await UnreadableException.SkipAsync(() => references.ListTagsAsync(name, stop)) ?? [])
                if (await references.ResolveTagAsync(name, tag, stop) is { } digest && found.TryGetValue(digest, out var layers))
                {
                    tagged.Add(digest);
                    yield return new(name.ToString(), tag, digest.ToString(), layers);
                }
            foreach (var (digest, layers) in found.Where(each => !tagged.Contains(each.Key)))
                yield return new(name.ToString(), null, digest.ToString(), layers);
        }
    }
}

/// <summary>One image of schema 1 in a store.</summary>
/// <param name="Tag">Null for a manifest that no tag names.</param>
/// <param name="Layers">How many entries its <c>fsLayers</c> has.</param>
internal sealed record Schema1Image(string Repository, string? Tag, string Digest, int Layers);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Schema1Image))]
internal sealed partial class Schema1Json : JsonSerializerContext;
