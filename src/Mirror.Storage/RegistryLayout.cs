namespace Mirror.Storage;

/// <summary>
/// Where everything lies below a store's root. The tree is <c>registry:2</c>'s, so that a volume or bucket of its is served as it
/// stands and can be handed back:
/// <code>
/// docker/registry/v2/blobs/sha256/&lt;2 hex&gt;/&lt;hex&gt;/data                 content, whatever names it
/// docker/registry/v2/repositories/&lt;name&gt;/
///     _layers/sha256/&lt;hex&gt;/link                                  this repository may serve that blob
///     _manifests/revisions/sha256/&lt;hex&gt;/link                     this repository may serve that manifest
///     _manifests/revisions/sha256/&lt;hex&gt;/mediatype                ours: the type, where the manifest does not say it
///     _manifests/tags/&lt;tag&gt;/current/link                         what the tag names now
///     _manifests/tags/&lt;tag&gt;/index/sha256/&lt;hex&gt;/link              what it has named
///     _uploads/&lt;uuid&gt;/{data,startedat}                           a push on its way in
/// .../data.swept, .../link.swept                                  ours: set aside by a sweep, on its way out
/// mirror/fills/sha256/&lt;hex&gt;                                       ours: a download on its way in
/// mirror/tmp/                                                     ours: small files on their way in
/// mirror/sweep.lock                                               ours: held by the one sweep that runs
/// </code>
/// A <c>link</c> holds a digest as text. <c>registry:2</c> ignores what is marked as ours. Paths are relative, with <c>/</c>.
/// </summary>
public static class RegistryLayout
{
    public const string Repositories = "docker/registry/v2/repositories";
    public const string Blobs = "docker/registry/v2/blobs";
    public const string Fills = "mirror/fills";
    public const string Temporary = "mirror/tmp";
    public const string SweepLock = "mirror/sweep.lock";

    public static string BlobData(Digest digest) => $"{Blobs}/{digest.Algorithm}/{digest.Hex[..2]}/{digest.Hex}/data";

    public static string Fill(Digest digest) => $"{Fills}/{digest.Algorithm}/{digest.Hex}";

    public static string Repository(RepositoryName name) => $"{Repositories}/{name}";

    public static string Layers(RepositoryName name) => $"{Repositories}/{name}/_layers";

    public static string Revisions(RepositoryName name) => $"{Repositories}/{name}/_manifests/revisions";

    public static string LayerLink(RepositoryName name, Digest digest) => $"{Repositories}/{name}/_layers/{digest.Algorithm}/{digest.Hex}/link";

    public static string RevisionLink(RepositoryName name, Digest digest) => $"{Revision(name, digest)}/link";

    public static string RevisionMediaType(RepositoryName name, Digest digest) => $"{Revision(name, digest)}/mediatype";

    public static string Tags(RepositoryName name) => $"{Repositories}/{name}/_manifests/tags";

    public static string Tag(RepositoryName name, string tag) => $"{Tags(name)}/{tag}";

    public static string TagCurrent(RepositoryName name, string tag) => $"{Tags(name)}/{tag}/current/link";

    public static string TagIndex(RepositoryName name, string tag, Digest digest) =>
        $"{Tags(name)}/{tag}/index/{digest.Algorithm}/{digest.Hex}/link";

    public static string Revision(RepositoryName name, Digest digest) =>
        $"{Repositories}/{name}/_manifests/revisions/{digest.Algorithm}/{digest.Hex}";
}
