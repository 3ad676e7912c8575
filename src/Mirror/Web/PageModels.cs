using Mirror.Admin;
using Mirror.PullThrough;
using Mirror.Registry;
using Mirror.Storage;
using Mirror.Telemetry;

namespace Mirror.Web;

public sealed record ErrorModel(int Status, string Message, string? Detail);

/// <param name="To">The page to go to afterwards, with its parameters.</param>
/// <param name="Wrong">Whether the last try was wrong.</param>
public sealed record LoginModel(string To, bool Wrong, bool HasUsers, bool TakesToken);

/// <param name="Usage">Null for a viewer who may not administer the server.</param>
public sealed record OverviewModel(
    IReadOnlyList<(DateTimeOffset Hour, AnswerTotals Answers)> Hours, AnswerTotals All, UsageModel? Usage);

/// <param name="Cached">The bytes of mirrored blobs; null until they have been counted.</param>
/// <param name="Address">Where other replicas reach this one; null where there are none.</param>
/// <param name="Replicas">Those that are there, this one among them, and when each was last there; null where that is not known.</param>
public sealed record UsageModel(
    UsageAnswer Store, long? Cached, string? Address, IReadOnlyList<(string Address, DateTimeOffset Last)>? Replicas,
    IReadOnlyList<UpstreamMirror> Upstreams);

public sealed record LiveModel(LiveState State, IReadOnlyList<(RepositoryName Name, WarmProgress Progress)> Warmed);

/// <param name="Next">The query's parameter <c>after</c> of the next page; null on the last one.</param>
public sealed record ImagesModel(
    string Search, string Sort, IReadOnlyList<ImageLine> Images, bool IsComplete, bool IsFirst, string? Next);

/// <param name="State"><c>kept</c>, <c>cooling down</c> or <c>stale</c>; null for none of these.</param>
public sealed record ImageLine(ListedImage Image, bool IsMirrored, bool IsPinned, string? State);

/// <param name="MayChange">Whether the viewer may pin, purge, warm and release it.</param>
/// <param name="History">What the tag has named, the newest first.</param>
/// <param name="Pullers">The last clients that pulled it; empty for a viewer who may not change it.</param>
public sealed record ImageModel(
    ImageDetail Image, bool MayChange, IReadOnlyList<TaggedSince> History, IReadOnlyList<Puller> Pullers);

/// <param name="Plan">What would be removed.</param>
public sealed record PurgeModel(string Image, Purged Plan);

/// <param name="OtherTags">The other tags that name the manifest.</param>
public sealed record DeleteModel(
    RepositoryName Name, string Tag, Digest Digest, IReadOnlyList<string> OtherTags, Configuration.MirrorOptions Options)
{
    public string Image => $"{Name}:{Tag}";
}

/// <param name="Problem">Why there is nothing to explain; null where there is.</param>
public sealed record WhyModel(string Image, Explained? Explained, string? Problem);

public sealed record UpstreamsModel(IReadOnlyList<UpstreamMirror> Upstreams, DateTimeOffset Now);

public sealed record ClientsModel(
    IReadOnlyList<SeenClient> Seen, IReadOnlyList<string> NotAsked, bool IsFull, IReadOnlyList<(string File, string Text)> Files,
    string? Note);

public sealed record SettingsModel(
    string Source, IReadOnlyList<Configuration.SettingInForce> Settings, bool IsAudited, IReadOnlyList<AuditLine> Audit);
