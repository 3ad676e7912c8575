using System.Text.Json.Serialization;

namespace Mirror.Admin;

/// <summary>A page of images.</summary>
/// <param name="Complete">False while the index is built for the first time: there are more images.</param>
/// <param name="Next">The path of the next page; null on the last one.</param>
public sealed record ImagePage(IReadOnlyList<ImageRow> Images, bool Complete, string? Next);

/// <summary>One image.</summary>
/// <param name="Tag">Null of a manifest that no tag leads to, such as one that clients pull by digest only.</param>
/// <param name="Size">Stored bytes, each part counted once.</param>
/// <param name="Shared">Those of its bytes that other images have too.</param>
/// <param name="Whole">Whether all is stored that its stored manifests need.</param>
/// <param name="LastUsed">When a client last got its manifest from this server; null where none did.</param>
/// <param name="Kind"><c>mirrored</c> or <c>hosted</c>.</param>
public sealed record ImageRow(
    string Name, string? Tag, string Digest, IReadOnlyList<string> Platforms, long Size, long Shared, bool Whole, DateTimeOffset? LastUsed,
    long Pulls, bool Pinned, string Kind);

/// <summary>What is known of an image's past. It may be lost with the index.</summary>
/// <param name="Tagged">What the tag has named here, the newest first, 20 at most.</param>
/// <param name="Pullers">The last clients of this replica, the newest first, 20 at most.</param>
public sealed record ImageHistory(string Name, string Tag, IReadOnlyList<TaggedRow> Tagged, IReadOnlyList<Puller> Pullers);

/// <param name="Since">When this server set the tag to it, or found that.</param>
public sealed record TaggedRow(string Digest, DateTimeOffset Since);

/// <summary>What the store holds.</summary>
/// <param name="Size">The bytes of all images, each part counted once.</param>
/// <param name="Shared">Those of the bytes that belong to two images or more.</param>
/// <param name="MaxSize"><c>proxy.max_size</c> in bytes; null where there is no limit.</param>
/// <param name="Free">Free bytes of the disk; null for a bucket.</param>
/// <param name="Indexed">When the whole store was last read; null while it is read for the first time.</param>
/// <param name="Growth">By how many bytes the images grew in the last day; null in a server's first hour.</param>
/// <param name="FullAt">When <c>proxy.max_size</c>, <c>proxy.min_free</c> or the end of the disk is reached if they go on growing like
/// that; null where they do not grow.</param>
public sealed record UsageAnswer(
    long Repositories, long Images, long Parts, long Size, long Shared, long? MaxSize, long? Free, string Storage, DateTimeOffset? Indexed,
    long? Growth, DateTimeOffset? FullAt);

/// <param name="Image">A repository, or a repository and a tag: <c>nginx</c>, <c>nginx:1.27</c>.</param>
/// <param name="DryRun">Only say what would be removed.</param>
public sealed record PurgeRequest(string Image, bool DryRun = false);

/// <summary>What was removed, or would be.</summary>
/// <param name="Freed">Bytes on the disk; null where another garbage collection runs, and a later one frees them.</param>
/// <param name="Kept">Why something stays.</param>
public sealed record PurgeAnswer(
    string Name, bool DryRun, IReadOnlyList<string> Tags, IReadOnlyList<string> Manifests, IReadOnlyList<string> Layers, long? Freed,
    IReadOnlyList<string> Kept);

/// <param name="Image">A repository and a tag: <c>nginx:1.27</c>.</param>
public sealed record PinRequest(string Image);

/// <summary>The manifest that tags may move to: <c>NAME@DIGEST</c>.</summary>
public sealed record ReleaseRequest(string Image);

/// <summary>The manifest that was released.</summary>
public sealed record ReleaseAnswer(string Image);

/// <summary>Whether an image is pinned now.</summary>
/// <param name="Changed">Whether that was otherwise before.</param>
public sealed record PinAnswer(string Image, bool Pinned, bool Changed);

/// <param name="Images">Repositories with a tag or a digest; without one, the tag is <c>latest</c>.</param>
/// <param name="Platforms">Of an index, such as <c>linux/arm64</c>, or <c>all</c>; null or empty is <c>linux/amd64</c>.</param>
public sealed record WarmRequest(IReadOnlyList<string> Images, IReadOnlyList<string>? Platforms = null);

/// <summary>What an eviction would remove, and what the growth of a day would make it remove.</summary>
/// <param name="Size">The bytes of mirrored blobs now.</param>
/// <param name="Limit">How many bytes may be left at most.</param>
/// <param name="Freed">The bytes of all images that would be evicted now.</param>
/// <param name="Count">How many images would be evicted now.</param>
/// <param name="Growth">By how many bytes the images grew in the last day; null in a server's first hour.</param>
/// <param name="NextDay">What will be evicted within a day if the server stores as many bytes as in the last day; null if that is not
/// known.</param>
/// <param name="Images">In the order in which they would be evicted, those of the next day at the end; 1,000 at most.</param>
public sealed record EvictionPlan(
    long Size, long Limit, long Freed, int Count, long? Growth, EvictionForecast? NextDay, IReadOnlyList<EvictedImage> Images);

/// <param name="Count">How many images, without those that would be evicted now.</param>
/// <param name="Freed">Their bytes.</param>
public sealed record EvictionForecast(int Count, long Freed);

/// <summary>An image that would be evicted.</summary>
/// <param name="Name">Its repository; null for a layer that no stored manifest names.</param>
/// <param name="Digest">Its manifest, or that layer.</param>
/// <param name="Frees">In bytes, without layers that an image needs which is kept.</param>
/// <param name="NextDay">Whether it is kept now, and evicted within a day.</param>
/// <param name="Layers">What would be deleted, the largest first, 20 at most.</param>
public sealed record EvictedImage(
    string? Name, IReadOnlyList<string> Tags, string Digest, DateTimeOffset LastUsed, long Frees, bool NextDay,
    IReadOnlyList<EvictedBlob> Layers);

/// <summary>A config or a layer.</summary>
public sealed record EvictedBlob(string Digest, long Size);

/// <summary>Which clients came in the last day, or since the server started.</summary>
/// <param name="NotAsked">The upstreams that no client asked for.</param>
/// <param name="Full">Whether more clients came than are kept.</param>
public sealed record ClientsAnswer(IReadOnlyList<ClientRow> Clients, IReadOnlyList<string> NotAsked, bool Full);

/// <summary>One client.</summary>
/// <param name="Upstream">The upstream whose content it asked for; empty for repositories that clients push to.</param>
/// <param name="How"><c>root</c>, <c>namespace</c>, <c>prefix</c> or <c>hosted</c>: how it named the registry.</param>
public sealed record ClientRow(
    string Address, string Program, string Upstream, string How, DateTimeOffset First, DateTimeOffset Last, long Connections);

/// <summary>The settings are in force.</summary>
public sealed record ReloadAnswer(string Outcome);

/// <summary>The documents of the API.</summary>
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(ImagePage))]
[JsonSerializable(typeof(ImageHistory))]
[JsonSerializable(typeof(UsageAnswer))]
[JsonSerializable(typeof(PurgeRequest))]
[JsonSerializable(typeof(PurgeAnswer))]
[JsonSerializable(typeof(Explained))]
[JsonSerializable(typeof(ReloadAnswer))]
[JsonSerializable(typeof(EvictionPlan))]
[JsonSerializable(typeof(ClientsAnswer))]
[JsonSerializable(typeof(PinRequest))]
[JsonSerializable(typeof(PinAnswer))]
[JsonSerializable(typeof(ReleaseRequest))]
[JsonSerializable(typeof(ReleaseAnswer))]
[JsonSerializable(typeof(WarmRequest))]
[JsonSerializable(typeof(WarmProgress))]
[JsonSourceGenerationOptions(
    UseStringEnumConverter = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
internal sealed partial class AdminJson : JsonSerializerContext;
