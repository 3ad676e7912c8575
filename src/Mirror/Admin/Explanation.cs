using Mirror.PullThrough;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Admin;

/// <summary>One request of the past, for <c>why</c>.</summary>
/// <param name="Of">The tag, or the digest of the manifest or blob, that was asked for.</param>
public sealed record ExplainedRequest(
    DateTimeOffset Time, long TookMs, string Asked, string Of, string Why, string Outcome, IReadOnlyList<string> Upstream);

/// <summary>What the last requests for an image did.</summary>
/// <param name="Source">Where the repository's content comes from, in words.</param>
/// <param name="Digest">What the tag names in the store; null where it is not stored.</param>
/// <param name="Held">Why the tag names another manifest here than at upstream; null where it does not.</param>
/// <param name="Served">How many clients got the manifest since the server started, or since it was forgotten.</param>
/// <param name="Looks">How many clients asked only for its headers.</param>
/// <param name="Requests">Those that went past the store, the newest first.</param>
/// <param name="Next">What the next request for the reference will do, in words; null for a whole repository.</param>
public sealed record Explained(
    string Name, string? Reference, string Source, string? Digest, string? Held, long Served, DateTimeOffset? LastServed,
    long Looks, DateTimeOffset? LastLook, IReadOnlyList<ExplainedRequest> Requests, string? Next);

/// <summary>Explains what the requests for an image did, and why upstream was asked.</summary>
public sealed class Explanation(
    RequestHistory history, RepositoryResolver repositories, UpstreamSelector upstreams, CachePolicies policies, HeldTags held,
    TagFreshness freshness, IReferenceStore references, ImageReader reader)
{
    private const int MaxRequests = 100;

    /// <summary>Of an image, or of all that a repository was asked for.</summary>
    public async Task<Explained> OfAsync(ImageName image, CancellationToken stop)
    {
        var (name, reference) = image;
        List<(Reference Reference, ReferenceHistory History)> all = [];
        Digest? digest = null;
        if (reference is not { } asked)
            all.AddRange(history.Of(name));
        else
        {
            digest = asked.IsTag(out var tag, out var byDigest) ? await references.ResolveTagAsync(name, tag, stop) : byDigest;
            // The image with its manifests and layers: a client asks for them one by one.
            HashSet<Reference> parts = [asked];
            if (digest is { } root)
            {
                parts.Add(root);
                var stored = await reader.ManifestsAsync(name, stop);
                foreach (var (child, (document, _)) in await reader.TreeAsync(root, stored, stop))
                    parts.UnionWith(document.Blobs.Select(blob => (Reference)blob.Digest).Prepend(child));
            }
            foreach (var part in parts)
                if (history.Find(name, part) is { } known)
                    all.Add((part, known));
        }
        // A client that knows the digest of a tag asks by digest.
        var pulled = all.Where(entry => reference is null || entry.Reference == reference || digest is { } d && entry.Reference == d)
            .ToList();
        var requests =
            from entry in all
            from happened in entry.History.Events
            orderby happened.Time descending
            select new ExplainedRequest(
                happened.Time, (long)happened.Took.TotalMilliseconds, happened.Asked, entry.Reference.ToString(), happened.Why,
                happened.Outcome, happened.Upstream());
        return new(
            name.ToString(), reference?.ToString(), Source(name), digest?.ToString(),
            reference?.IsTag(out var named, out _) == true ? held.Find(name, named) : null,
            pulled.Sum(entry => entry.History.Pulls), pulled.Max(entry => entry.History.LastUsed),
            pulled.Sum(entry => entry.History.Looks), pulled.Max(entry => entry.History.LastLook),
            [.. requests.Take(MaxRequests)], reference is { } next ? Next(name, next, digest) : null);
    }

    private string Next(RepositoryName name, Reference reference, Digest? digest)
    {
        var policy = policies.Of(name);
        if (policy.Denied is not null)
            return "clients get 403";
        if (!repositories.IsMirrored(name))
            return digest is null ? "nothing of this name is stored" : "it is answered from the store";
        if (!reference.IsTag(out var tag, out _))
            return "what a digest names never changes: it is answered from the store once it is there";
        if (digest is null)
            return "it is not stored: upstream is asked";
        if (policy.IsImmutable(tag))
            return "it is answered from the store: no upstream moves this tag (immutable_tags)";
        var left = policy.TagsCacheTtl - freshness.SinceCheck(name, tag);
        return left > TimeSpan.Zero ? $"it is answered from the store: the tag is fresh for {InWords(left.Value)} more"
            : left is null ? "upstream is asked whether the tag has moved: this server has not asked since it started"
            : "upstream is asked whether the tag has moved: the time of its last answer is over";
    }

    private static string InWords(TimeSpan time) =>
        time.TotalMinutes < 2 ? $"{Math.Ceiling(time.TotalSeconds):0} s"
        : time.TotalHours < 2 ? $"{time.TotalMinutes:0} minutes"
        : $"{time.TotalHours:0} hours";

    private string Source(RepositoryName name) =>
        repositories.IsHosted(name) ? "clients push to this repository; no upstream is asked"
        : policies.Of(name).Denied is { } reason ? $"a policy denies it to clients: {reason}"
        : upstreams.Find(name) is { } mirror ? $"mirrored from {mirror.Upstream.Origin.Authority}"
        : "no upstream is configured for this name";
}
