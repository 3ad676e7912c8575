using System.Security.Cryptography;
using System.Text;

namespace Mirror.Storage.Stores;

/// <summary>
/// The paths below a store's root. They are the paths of <c>registry:2</c>: this server can serve a volume or bucket of <c>registry:2</c>
/// unchanged, and <c>registry:2</c> can serve it again afterwards.
/// <code>
/// docker/registry/v2/blobs/sha256/&lt;2 hex&gt;/&lt;hex&gt;/data                 content
/// docker/registry/v2/repositories/&lt;name&gt;/
///     _layers/sha256/&lt;hex&gt;/link                                  this repository may serve that blob
///     _manifests/revisions/sha256/&lt;hex&gt;/link                     this repository may serve that manifest
///     _manifests/revisions/sha256/&lt;hex&gt;/mediatype                ours: the type, where the manifest does not say it
///     _manifests/tags/&lt;tag&gt;/current/link                         the digest that the tag names now
///     _manifests/tags/&lt;tag&gt;/index/sha256/&lt;hex&gt;/link              every digest that the tag has ever named
///     _uploads/&lt;uuid&gt;/{data,startedat}                           an upload of a client
///     _mirror/layers/sha512/&lt;hex&gt;/link                           ours: as _layers and _manifests/revisions, for sha512
///     _mirror/revisions/sha512/&lt;hex&gt;/{link,mediatype}
///     _mirror/referrers/&lt;algorithm&gt;/&lt;hex&gt;/&lt;algorithm&gt;-&lt;hex&gt;   ours: the descriptor of a manifest whose subject the
///                                                                 folder names
/// .../data.swept, .../link.swept                                  ours: renamed by a garbage collection, about to be deleted
/// .../data.evicted, .../link.evicted                              ours: renamed by an eviction, about to be deleted
/// mirror/blobs/sha512/&lt;2 hex&gt;/&lt;hex&gt;/data                           ours: content, for sha512
/// mirror/fills/&lt;algorithm&gt;/&lt;hex&gt;                                  ours: the spool of a fill
/// .../&lt;spool&gt;.hash                                                 ours: the state of the hash of a spool, beside it
/// mirror/tmp/                                                     ours: small files before they get their final name
/// mirror/notifications/&lt;endpoint&gt;/                               ours: events that wait for their endpoint; *.damaged: files
///                                                                 of events that could not be read
/// mirror/identity                                                 ours: sixteen random bytes that tell this store from others
/// mirror/secret                                                   ours: random bytes that sign our tokens
/// mirror/admin-token                                             ours, on this machine: opens the API of the administrator
/// mirror/images.db                                               ours, on this machine: an index of the images, can be built again
/// mirror/pins/&lt;name&gt;/_&lt;tag&gt;                                     ours: no eviction takes this image
/// mirror/pushed/&lt;name&gt;/_&lt;algorithm&gt;/&lt;hex&gt;                    ours: a client pushed this content to this repository
/// mirror/copied/&lt;name&gt;/_&lt;algorithm&gt;/&lt;hex&gt;                    ours: this content of this repository came from upstream
/// mirror/dates/seen/&lt;name&gt;/_&lt;algorithm&gt;/&lt;hex&gt;                ours: when this manifest was first seen at upstream
/// mirror/dates/deleted/&lt;name&gt;/_&lt;tag&gt;                          ours: when upstream was first seen without this tag
/// mirror/dates/pushed/&lt;client&gt;/&lt;name&gt;/_&lt;algorithm&gt;/&lt;hex&gt;   ours: when this client pushed this content
/// mirror/dates/upstreams/_&lt;registry&gt;                             ours: when this further upstream was first configured
/// scheduler-state.json                                            of registry:2: what it has copied from upstream
/// mirror/imports/&lt;id&gt;                                            ours, on this machine: layers that import-v1 has converted
/// mirror/sweep.lock                                               ours: locked by the garbage collection that runs
/// mirror/eviction.lock                                            ours: locked by the eviction that runs
/// mirror/sweeps/&lt;id&gt;                                             ours, in a bucket: one for a collection that runs
/// mirror/evictions/&lt;id&gt;                                          ours, in a bucket: one for an eviction that runs
/// mirror/claims/&lt;algorithm&gt;/&lt;hex&gt;/&lt;day&gt;                          ours, in a bucket: a process touched this content
/// mirror/condemned/&lt;algorithm&gt;/&lt;hex&gt;/&lt;id&gt;                        ours, in a bucket: a sweep is about to delete this
/// .../.trial-&lt;random&gt;                                            ours, on this machine: whether this folder takes writes
/// mirror/trial-&lt;id&gt;                                                ours, in a bucket: check-config --online tries to write
/// mirror/glance                                                   ours: the name by which Glance knows the images of this store
/// mirror/elliptics/...                                            ours: an entry for each object in Elliptics
/// </code>
/// A <c>link</c> holds a digest as text. <c>registry:2</c> ignores what is marked as ours. Its garbage collector deletes unknown content in
/// <c>docker/</c>, so sha512 content lives in <c>mirror/</c>. Paths are relative, with <c>/</c>.
/// </summary>
public static class RegistryLayout
{
    public const string Repositories = "docker/registry/v2/repositories";
    public const string Fills = "mirror/fills";
    public const string Temporary = "mirror/tmp";
    public const string Notifications = "mirror/notifications";
    public const string StoreIdentity = "mirror/identity";
    public const string StoreSecret = "mirror/secret";
    public const string AdminToken = "mirror/admin-token";
    public const string ImageIndex = "mirror/images.db";
    public const string Pins = "mirror/pins";
    public const string Imports = "mirror/imports";
    public const string SweepLock = "mirror/sweep.lock";
    public const string EvictionLock = "mirror/eviction.lock";
    public const string Pushed = "mirror/pushed";
    public const string Copied = "mirror/copied";
    public const string Dates = "mirror/dates";
    private const string DatesOfPushes = Dates + "/pushed";
    public const string Upstreams = $"{Dates}/upstreams";
    public const string Schedule = "scheduler-state.json";
    public const string Sweeps = "mirror/sweeps";
    public const string Evictions = "mirror/evictions";
    public const string AllClaims = "mirror/claims";
    public const string AllCondemned = "mirror/condemned";

    /// <summary>A folder is a repository if it has one of these folders, even an empty one.</summary>
    public static readonly IReadOnlyList<string> RepositorySubfolders = ["_manifests", "_layers", "_mirror"];

    public static string Blobs(string algorithm) =>
        $"{(IsKnownToRegistry2(algorithm) ? "docker/registry/v2" : "mirror")}/blobs/{algorithm}";

    /// <summary>Whether a folder of <see cref="Blobs"/> holds content, and does not belong to another program, as
    /// <c>lost+found</c> does.</summary>
    public static bool IsContentPrefix(string folder) =>
        Path.GetFileName(folder) is { Length: 2 } name && name.All(char.IsAsciiHexDigitLower);

    public static string BlobData(Digest digest) => $"{Blobs(digest.Algorithm)}/{digest.Hex[..2]}/{digest.Hex}/data";

    public static string Fill(Digest digest) => $"{Fills}/{digest.Algorithm}/{digest.Hex}";

    public static string Claims(Digest digest) => $"{AllClaims}/{digest.Algorithm}/{digest.Hex}";

    public static string Condemned(Digest digest) => $"{AllCondemned}/{digest.Algorithm}/{digest.Hex}";

    /// <summary>The pin of an image. No part of a repository's name begins with '_'.</summary>
    public static string Pin(RepositoryName name, string tag) => $"{Pins}/{name}/_{tag}";

    /// <summary>The tag in the last part of a pin's path; null for a file that is no pin.</summary>
    public static string? PinnedTag(string file) => file is ['_', .. var tag] && Reference.IsTagName(tag) ? tag : null;

    public static string Marks(Provenance provenance) => provenance == Provenance.Pushed ? Pushed : Copied;

    /// <summary>The folder of a repository's marks. No part of a repository's name begins with '_'.</summary>
    public static string Marks(RepositoryName name, Provenance provenance, string algorithm) =>
        $"{Marks(provenance)}/{name}/_{algorithm}";

    public static string Mark(RepositoryName name, Digest digest, Provenance provenance) =>
        $"{Marks(name, provenance, digest.Algorithm)}/{digest.Hex}";

    /// <summary>For <see cref="IDateStore"/>: when the server first saw that upstream has a manifest.</summary>
    public static string FirstSeen(RepositoryName name, Digest digest) => $"{Dates}/seen/{name}/_{digest.Algorithm}/{digest.Hex}";

    /// <summary>For <see cref="IDateStore"/>: when the server first saw that upstream no longer has a tag.</summary>
    public static string DeletedAtUpstream(RepositoryName name, string tag) => $"{Dates}/deleted/{name}/_{tag}";

    /// <summary>For <see cref="IDateStore"/>: the folder of the dates at which a client pushed content.</summary>
    /// <param name="client">Any text that tells the client from others.</param>
    public static string PushedBy(string client) =>
        $"{DatesOfPushes}/{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(client)).AsSpan(0, 16))}";

    /// <summary>For <see cref="IDateStore"/>: when a client pushed content to a repository.</summary>
    /// <inheritdoc cref="PushedBy(string)"/>
    public static string PushedBy(string client, RepositoryName name, Digest digest) =>
        $"{PushedBy(client)}/{name}/_{digest.Algorithm}/{digest.Hex}";

    /// <summary>For <see cref="IDateStore"/>: when a further upstream was first configured.</summary>
    /// <param name="upstream">The first part of the names below which its repositories are stored.</param>
    public static string FirstConfigured(RepositoryName upstream) => $"{Upstreams}/_{upstream}";

    /// <summary>The upstream of a path that <see cref="FirstConfigured"/> made; null for other paths.</summary>
    public static RepositoryName? UpstreamFirstConfigured(string path) =>
        path.StartsWith($"{Upstreams}/_", StringComparison.Ordinal) && RepositoryName.TryParse(path[(Upstreams.Length + 2)..], out var name)
            ? name
            : null;

    /// <summary>The repository that a path of <see cref="IDateStore"/> is about; null for a file that is no date.</summary>
    public static RepositoryName? DatedRepository(string path)
    {
        // No part of a repository's name begins with '_'.
        var parts = path[(Dates.Length + 1)..].Split('/').Skip(path.StartsWith(DatesOfPushes + "/", StringComparison.Ordinal) ? 2 : 1);
        return RepositoryName.TryParse(string.Join('/', parts.TakeWhile(part => !part.StartsWith('_'))), out var name)
            ? name
            : null;
    }

    /// <summary>The content that a path of <see cref="IDateStore"/> is about; null for a path without a digest.</summary>
    public static Digest? DatedContent(string path) =>
        path.Split('/') is [.., ['_', .. var algorithm], var hex] && Digest.TryParse($"{algorithm}:{hex}", out var digest) ? digest : null;

    public static string Repository(RepositoryName name) => $"{Repositories}/{name}";

    /// <summary>The folder of a repository's links to sha256 blobs.</summary>
    public static string Layers(RepositoryName name) => $"{Repository(name)}/_layers";

    public static string BlobLinks(RepositoryName name, string algorithm) =>
        $"{Repository(name)}/{(IsKnownToRegistry2(algorithm) ? "_layers" : "_mirror/layers")}/{algorithm}";

    public static string ManifestLinks(RepositoryName name, string algorithm) =>
        $"{Repository(name)}/{(IsKnownToRegistry2(algorithm) ? "_manifests/revisions" : "_mirror/revisions")}/{algorithm}";

    public static string LayerLink(RepositoryName name, Digest digest) => $"{BlobLinks(name, digest.Algorithm)}/{digest.Hex}/link";

    public static string RevisionLink(RepositoryName name, Digest digest) => $"{Revision(name, digest)}/link";

    public static string RevisionMediaType(RepositoryName name, Digest digest) => $"{Revision(name, digest)}/mediatype";

    public static string Tags(RepositoryName name) => $"{Repository(name)}/_manifests/tags";

    public static string Tag(RepositoryName name, string tag) => $"{Tags(name)}/{tag}";

    public static string TagCurrent(RepositoryName name, string tag) => $"{Tags(name)}/{tag}/current/link";

    public static string TagIndex(RepositoryName name, string tag, Digest digest) =>
        $"{Tags(name)}/{tag}/index/{digest.Algorithm}/{digest.Hex}/link";

    public static string Revision(RepositoryName name, Digest digest) => $"{ManifestLinks(name, digest.Algorithm)}/{digest.Hex}";

    public static string Referrers(RepositoryName name, Digest subject) =>
        $"{Repository(name)}/_mirror/referrers/{subject.Algorithm}/{subject.Hex}";

    public static string Referrer(RepositoryName name, Digest subject, Digest referrer) =>
        $"{Referrers(name, subject)}/{referrer.Algorithm}-{referrer.Hex}";

    public static string Uploads(RepositoryName name) => $"{Repository(name)}/_uploads";

    public static string Upload(RepositoryName name, Guid id) => $"{Uploads(name)}/{id}";

    public static string UploadData(RepositoryName name, Guid id) => $"{Upload(name, id)}/data";

    public static string UploadStarted(RepositoryName name, Guid id) => $"{Upload(name, id)}/startedat";

    private static bool IsKnownToRegistry2(string algorithm) => algorithm == "sha256";
}
