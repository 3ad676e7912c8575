using System.Text.Json;
using Mirror.Admin;
using Mirror.PullThrough;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Web;

/// <param name="Images">How many images of the store have this blob.</param>
public sealed record BlobDetail(Digest Digest, string Field, string MediaType, long? Size, bool IsStored, int Images);

/// <summary>A step of an image's history, from its config.</summary>
public sealed record HistoryStep(string Created, string By, bool IsEmpty);

/// <summary>One manifest of an image.</summary>
/// <param name="Platform">Null if neither the index nor the config has it.</param>
/// <param name="IsStored">Whether this server has it.</param>
/// <param name="ByDigest">How often clients pulled it by digest, and when the last one did; null if none did.</param>
public sealed record ManifestDetail(
    Digest Digest, string? Platform, string Type, bool IsStored, IReadOnlyList<BlobDetail> Blobs, IReadOnlyList<HistoryStep> History,
    IReadOnlyList<KeyValuePair<string, string>> Labels, IReadOnlyList<KeyValuePair<string, string>> Annotations,
    (long Pulls, DateTimeOffset Last)? ByDigest = null);

/// <summary>A manifest that refers to an image: a signature, an SBOM, a build attestation.</summary>
public sealed record ReferrerDetail(Digest Digest, Digest Subject, string? ArtifactType);

/// <summary>All that the store knows of an image.</summary>
/// <param name="Tag">Null of an image that is named by its digest.</param>
public sealed record ImageDetail(
    ImageName Name, string? Tag, Digest Digest, bool IsMirrored, bool IsPinned, string? Held, Digest? MovesTo, TimeSpan? SinceCheck,
    bool IsFresh, ListedImage? Listed, IReadOnlyList<ManifestDetail> Manifests, IReadOnlyList<ReferrerDetail> Referrers);

/// <summary>Reads an image from the store for its page. It never asks upstream. Every list has a limit.</summary>
internal sealed class ImageDetails(
    ImageReader reader, ImageIndex index, RepositoryResolver repositories, IPinStore pins, HeldTags held, TagFreshness freshness,
    IReferenceStore references, IReferrerStore referrers, [FromKeyedServices(CheckedContentStore.Unchecked)] IContentStore content)
{
    private const int MaxManifests = 50;
    private const int MaxEntries = 200;
    private const int MaxConfig = 256 << 10;
    private const int MaxText = 500;

    /// <summary>The image that a tag or a digest names here; null if this server does not have it.</summary>
    public async Task<ImageDetail?> FindAsync(RepositoryName name, Reference reference, CancellationToken stop)
    {
        if (!reference.IsTag(out var tag, out var root))
        {
            if (!(await references.FindManifestAsync(name, root, stop)).Linked)
                return null;
        }
        else if (await references.ResolveTagAsync(name, tag, stop) is { } named)
            root = named;
        else
            return null;
        var manifests = await reader.ManifestsAsync(name, stop);
        var blobs = await reader.BlobsAsync(name, stop);
        var tree = await reader.TreeAsync(root, manifests, stop);
        var all = tree.Values.SelectMany(each => each.Document.Blobs).Select(blob => blob.Digest).ToHashSet();
        var uses = await Task.Run(() => index.UsesOf(all), stop);
        List<ManifestDetail> details = [];
        // The image itself first, then the platforms in the order of the index.
        var children = tree.TryGetValue(root, out var top) ? top.Document.Manifests.ToList() : [];
        details.Add(await ReadAsync(root, null));
        foreach (var child in children.Take(MaxManifests))
            details.Add(await ReadAsync(child.Digest, child.Platform is { Os: { } os, Architecture: var cpu } ? $"{os}/{cpu}" : null));
        var pulls = await Task.Run(() => index.PullsByDigest(name, details.Select(each => each.Digest)), stop);
        details = [.. details.Select(each => pulls.TryGetValue(each.Digest, out var by) ? each with { ByDigest = by } : each)];
        return new(
            new(name, reference), tag, root, repositories.IsMirrored(name), tag is not null && await pins.IsPinnedAsync(name, tag, stop),
            tag is null ? null : held.Find(name, tag), tag is null ? null : held.MovesTo(name, tag),
            tag is null ? null : freshness.SinceCheck(name, tag), tag is not null && freshness.FindFresh(name, tag) is not null,
            await Task.Run(() => index.Find(name, reference), stop), details, await ReferrersAsync(name, [root, .. tree.Keys], stop));

        async ValueTask<ManifestDetail> ReadAsync(Digest digest, string? platform)
        {
            if (!tree.TryGetValue(digest, out var known))
                return new(digest, platform, "", false, [], [], [], []);
            var bytes = (await content.ReadAllAsync(digest, Manifest.MaxBytes, stop)).Bytes;
            var document = known.Document;
            JsonElement config = default;
            if (document.Config is { } descriptor && blobs.Contains(descriptor.Digest)
                && (await content.ReadAllAsync(descriptor.Digest, MaxConfig, stop)).Bytes is { } configBytes)
                config = Parse(configBytes);
            return new(
                digest, platform ?? PlatformOf(config), document.Type ?? "", true,
                [
                    .. document.Blobs.Take(MaxEntries).Select(blob => new BlobDetail(
                        blob.Digest, blob.Field, Words.Cut(blob.MediaType, MaxText), blob.Size, blobs.Contains(blob.Digest),
                        uses.GetValueOrDefault(blob.Digest))),
                ],
                HistoryOf(config), Pairs(Member(Member(config, "config"), "Labels")),
                Pairs(Member(bytes is null ? default : Parse(bytes), "annotations")));
        }
    }

    private async ValueTask<IReadOnlyList<ReferrerDetail>> ReferrersAsync(
        RepositoryName name, HashSet<Digest> subjects, CancellationToken stop)
    {
        List<ReferrerDetail> all = [];
        foreach (var subject in subjects.Take(MaxManifests))
            foreach (var digest in await UnreadableException.SkipAsync(() => referrers.ListAsync(name, subject, stop)) ?? [])
            {
                if (all.Count >= MaxEntries)
                    return all;
                if (await UnreadableException.SkipAsync(() => referrers.ReadAsync(name, subject, digest, stop)) is { } descriptor
                    && (await references.FindManifestAsync(name, digest, stop)).Linked)
                    all.Add(new(digest, subject, Words.Cut(TypeOf(descriptor), MaxText)));
            }
        return all;
    }

    private static string? TypeOf(byte[] descriptor) => Text(Parse(descriptor), "artifactType");

    private static List<HistoryStep> HistoryOf(JsonElement config) =>
        Member(config, "history") is { ValueKind: JsonValueKind.Array } history
            ?
            [
                .. history.EnumerateArray().Take(MaxEntries).Select(step => new HistoryStep(
                    Words.Cut(Text(step, "created"), 40), Words.Cut(Text(step, "created_by") ?? Text(step, "comment"), MaxText),
                    Member(step, "empty_layer").ValueKind == JsonValueKind.True)),
            ]
            : [];

    private static string? PlatformOf(JsonElement config) =>
        Text(config, "os") is { } os && Text(config, "architecture") is { } cpu ? Words.Cut($"{os}/{cpu}", 100) : null;

    private static List<KeyValuePair<string, string>> Pairs(JsonElement json)
    {
        List<KeyValuePair<string, string>> pairs = [];
        if (json.ValueKind == JsonValueKind.Object)
            foreach (var pair in json.EnumerateObject().Where(pair => pair.Value.ValueKind == JsonValueKind.String).Take(MaxEntries))
                pairs.Add(new(Words.Cut(Valid(() => pair.Name), MaxText), Words.Cut(Valid(() => pair.Value.GetString()!), MaxText)));
        return pairs;
    }

    private static JsonElement Parse(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            using var json = JsonDocument.Parse(bytes);
            return json.RootElement.Clone();
        }
        // The stored bytes may be something else than an image.
        catch (JsonException)
        {
            return default;
        }
    }

    private static JsonElement Member(JsonElement json, string name)
    {
        try
        {
            return json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var member) ? member : default;
        }
        // A name that is not valid Unicode.
        catch (InvalidOperationException)
        {
            return default;
        }
    }

    private static string? Text(JsonElement json, string name) =>
        Member(json, name) is { ValueKind: JsonValueKind.String } text ? Valid(() => text.GetString()!) : null;

    private static string Valid(Func<string> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException)
        {
            return "(not valid Unicode)";
        }
    }
}
