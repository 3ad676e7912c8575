using Microsoft.AspNetCore.Http;
using Mirror.Storage;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Azure;
using Mirror.Storage.Buckets.Elliptics;
using Mirror.Storage.Buckets.Gcs;
using Mirror.Storage.Buckets.Glance;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Buckets.Swift;
using Mirror.Tests.Peers;
using Mirror.Tests.Peers.Elliptics;
using Mirror.Tests.Peers.Gcs;
using Mirror.Tests.Resilience;
using Mirror.Tests.S3;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedGlance))]

namespace Mirror.Tests.Stores;

/// <summary>The stores on another machine.</summary>
public enum StoreKind
{
    S3,
    Oss,
    Azure,
    Gcs,
    Swift,
    Glance,

    /// <summary>Content in Glance, and everything else in a container of Swift.</summary>
    GlanceBesideSwift,
    Elliptics,
}

/// <summary>An empty folder or container in a store, with a front before it at which a test orders faults.</summary>
internal sealed class RemoteStore : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly TempFolder _folder = new();
    private readonly Func<Uri, BucketOptions> _options;
    private readonly StoreFront? _front;
    private readonly StoreFront? _namesFront;
    private readonly Uri? _directNames;
    private readonly GoogleStorage? _google;
    private readonly RiftStandIn? _rift;
    private readonly Radosgw? _radosgw;
    private readonly string _name;

    private RemoteStore(
        StoreKind kind, string name, Uri store, StoreFront? front = null, GoogleStorage? google = null, RiftStandIn? rift = null,
        Radosgw? radosgw = null, Uri? names = null, StoreFront? namesFront = null)
    {
        (Kind, _name, Direct, _front, _google, _rift, _radosgw) = (kind, name, store, front, google, rift, radosgw);
        (_directNames, _namesFront) = (names, namesFront);
        _options = url => kind switch
        {
            StoreKind.S3 => S3(url),
            StoreKind.Oss => Oss(url),
            StoreKind.Azure => Azure(url),
            StoreKind.Gcs => Gcs(url),
            StoreKind.Swift => SwiftOf(url),
            StoreKind.Glance => new GlanceOptions { Endpoint = url.OriginalString, RootDirectory = NamesFolder },
            StoreKind.GlanceBesideSwift => GlanceBesideSwift(url),
            _ => new EllipticsOptions { Endpoints = [url.OriginalString], RootDirectory = NamesFolder },
        };
    }

    public StoreKind Kind { get; }

    /// <summary>
    /// Whether the service has nothing but content, and a folder on this machine has all names. What has no name there is missing, whatever
    /// the service does.
    /// </summary>
    public bool HasNamesHere => Kind is StoreKind.Glance or StoreKind.Elliptics;

    /// <summary>The folder with all names. The first write makes it.</summary>
    public string NamesFolder => _folder["names"];

    /// <summary>The address of the store itself.</summary>
    public Uri Direct { get; }

    public StoreFaults Faults => _front?.Faults ?? _google!.Faults;

    /// <summary>A length of content that is sent in parts.</summary>
    public int MoreThanAPart => Kind is StoreKind.S3 or StoreKind.Oss ? (5 << 20) + 100_000 : (1 << 20) + 100_000;

    /// <summary>How many uploads of parts are begun and not finished; null: the store does not tell.</summary>
    public int? OpenUploads => _google?.OpenUploads;

    /// <summary>The section below <c>storage</c>, at the front.</summary>
    public string Driver => DriverAt(_front?.Url ?? Direct, _namesFront?.Url);

    /// <summary>The section below <c>storage</c>, without the front.</summary>
    public string DirectDriver => DriverAt(Direct, _directNames);

    // Such a service takes no parts.
    private bool TakesContentWhole => Kind is StoreKind.Glance or StoreKind.GlanceBesideSwift or StoreKind.Elliptics;

    /// <summary>The store; skips the running test where it cannot be run.</summary>
    /// <param name="sample">The only one that is opened without <c>MIRROR_TESTS=full</c>; null for all.</param>
    /// <param name="capacity">How many bytes the test needs, if that is more than the tests may leave in a store that they share.</param>
    public static async Task<RemoteStore> OpenOrSkipAsync(StoreKind kind, StoreKind? sample = null, long? capacity = null)
    {
        if (!Figures.Full && sample is not null && kind != sample)
            Assert.Skip($"over {kind} with MIRROR_TESTS=full");
        MirrorProcess.Availability.OrSkip();
        var name = $"c{Guid.NewGuid():N}";
        if (kind is StoreKind.Gcs)
        {
            var google = await GoogleStorage.StartAsync();
            return new(kind, name, google.Url, google: google);
        }
        var rift = kind is StoreKind.Elliptics ? await RiftStandIn.StartAsync(RiftRelease.ByPath) : null;
        rift?.Capacity = 2L << 30;
        // So that an upload can be cut off in its middle.
        rift?.BytesPerPiece = 200_000;
        Radosgw? radosgw = null;
        if (kind is StoreKind.S3 or StoreKind.Oss && capacity is { } bytes)
        {
            Radosgw.Availability.OrSkip();
            radosgw = await Radosgw.StartAsync(bytes);
        }
        var store = kind switch
        {
            StoreKind.Azure => (await SharedAzurite.OrSkipAsync()).Url,
            StoreKind.Swift => (await SharedSwift.OrSkipAsync()).Url,
            StoreKind.Glance or StoreKind.GlanceBesideSwift => (await SharedGlance.OrSkipAsync()).Url,
            StoreKind.Elliptics => rift!.Url,
            _ => (radosgw ?? await SharedRadosgw.OrSkipAsync()).Url,
        };
        var names = kind is StoreKind.GlanceBesideSwift ? (await SharedSwift.OrSkipAsync()).Url : null;
        Func<HttpContext, int, Task> refuse = (context, status) => RefuseAsync(kind, context, status);
        var front = await StoreFront.StartAsync(store, refuse);
        var namesFront = names is null ? null : await StoreFront.StartAsync(names, refuse, front.Faults);
        return new(kind, name, store, front, rift: rift, radosgw: radosgw, names: names, namesFront: namesFront);
    }

    /// <summary>The bucket itself, without the front. On a busy machine a store may take longer than a server waits for it.</summary>
    public IBucket Open() => _options(Direct) switch
    {
        S3Options s3 => new S3Bucket(s3, TimeProvider.System) { SmallLimit = Patience },
        OssOptions oss => new S3Bucket(oss.ToS3(), TimeProvider.System) { SmallLimit = Patience },
        AzureOptions azure => new AzureBucket(azure, TimeProvider.System) { SmallLimit = Patience },
        GcsOptions gcs => new GcsBucket(gcs, TimeProvider.System) { SmallLimit = Patience },
        GlanceOptions glance => new GlanceBucket(glance, TimeProvider.System) { SmallLimit = Patience },
        EllipticsOptions elliptics => new EllipticsBucket(elliptics, TimeProvider.System) { SmallLimit = Patience },
        var swift => new SwiftBucket((SwiftOptions)swift, TimeProvider.System) { SmallLimit = Patience },
    };

    /// <summary>Stores a blob of a repository, past the server and its local cache.</summary>
    public async Task<Digest> PutAsync(string repository, byte[] bytes)
    {
        var (digest, cancel) = (Digest.Of(bytes), TestContext.Current.CancellationToken);
        using var bucket = Open();
        await new BucketContentStore(bucket, _options(Direct), TimeProvider.System).PutAsync(digest, bytes, cancel);
        await new BucketReferenceStore(bucket, TimeProvider.System).LinkBlobAsync(RepositoryName.Parse(repository), digest, cancel);
        return digest;
    }

    /// <summary>From now on connections to the store are refused.</summary>
    public async Task RefuseConnectionsAsync()
    {
        if (_front is null)
            Faults.Set(StoreFault.Reset);
        foreach (var front in Fronts)
            await front.RefuseAsync();
    }

    /// <summary>From now on all goes well.</summary>
    public async Task MendAsync()
    {
        Faults.Clear();
        foreach (var front in Fronts)
            await front.ListenAsync();
    }

    /// <summary>
    /// The fault that a list is late; null for a request for anything else. Only sweeps list images of Glance, and nothing lists Elliptics.
    /// </summary>
    public StoreFault? LateList(HttpRequest request)
    {
        if (!HttpMethods.IsGet(request.Method))
            return null;
        return Kind switch
        {
            StoreKind.S3 or StoreKind.Oss when request.Query["list-type"] == "2" =>
                StoreFault.Late("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"),
            StoreKind.Azure when request.Query["comp"] == "list" =>
                StoreFault.Late("<EnumerationResults><Blobs></Blobs><NextMarker /></EnumerationResults>"),
            StoreKind.Gcs when request.Path.Value!.EndsWith("/o", StringComparison.Ordinal) =>
                StoreFault.Late("""{"kind":"storage#objects"}"""),
            StoreKind.Swift or StoreKind.GlanceBesideSwift when request.Query["format"] == "json" => StoreFault.Late("[]"),
            _ => null,
        };
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var front in Fronts)
            await front.DisposeAsync();
        if (_google is not null)
            await _google.DisposeAsync();
        if (_rift is not null)
            await _rift.DisposeAsync();
        if (_radosgw is not null)
            await _radosgw.DisposeAsync();
        _folder.Dispose();
    }

    // As each of them says it.
    private static async Task RefuseAsync(StoreKind kind, HttpContext context, int status)
    {
        var code = (kind, status) switch
        {
            (StoreKind.Azure, 403) => "AuthorizationFailure",
            (StoreKind.Azure, 503) => "ServerBusy",
            (_, 403) => "AccessDenied",
            (_, 503) => "SlowDown",
            _ => "InternalError",
        };
        if (kind is StoreKind.Azure)
            context.Response.Headers["x-ms-error-code"] = code;
        if (HttpMethods.IsHead(context.Request.Method))
            return;
        var isText = kind is StoreKind.Swift or StoreKind.Glance or StoreKind.GlanceBesideSwift or StoreKind.Elliptics;
        context.Response.ContentType = isText ? "text/plain" : "application/xml";
        await context.Response.WriteAsync(isText ? code : $"<Error><Code>{code}</Code><Message>{code}</Message></Error>");
    }

    private IEnumerable<StoreFront> Fronts => new[] { _front, _namesFront }.OfType<StoreFront>();

    private string DriverAt(Uri url, Uri? names) => Kind switch
    {
        StoreKind.S3 => BucketDriver.Of(url, $"test/{_name}"),
        StoreKind.Oss => $"  oss:\n    accesskeyid: {Radosgw.AccessKey}\n    accesskeysecret: {Radosgw.SecretKey}\n    region: us-east-1\n"
            + $"    endpoint: {BucketUrl(url)}\n    bucket: {Radosgw.Bucket}\n    rootdirectory: /test/{_name}\n",
        StoreKind.Azure => $"  azure:\n    accountname: {Azurite.Account}\n    accountkey: {Azurite.Key}\n    container: {_name}\n"
            + $"    serviceurl: {AccountUrl(url)}\n",
        StoreKind.Gcs => $"  gcs:\n    bucket: {GoogleStorage.Bucket}\n    keyfile: {_folder.Write("key.json", _google!.KeyFile())}\n"
            + $"    rootdirectory: /registry\n    endpoint: {url}\n",
        StoreKind.Swift => $"  swift:\n    username: {Swift.User}\n    password: {Swift.Password}\n"
            + $"    authurl: {new Uri(url, "auth/v1.0")}\n    container: {_name}\n",
        StoreKind.Glance => $"  glance:\n    endpoint: {url}\n    rootdirectory: {NamesFolder}\n",
        StoreKind.GlanceBesideSwift => $"  glance:\n    endpoint: {url}\n    username: {Swift.User}\n    password: {Swift.Password}\n"
            + $"    authurl: {new Uri(names!, "auth/v1.0")}\n    container: {_name}\n",
        _ => $"  elliptics:\n    endpoints: [{url}]\n    rootdirectory: {NamesFolder}\n",
    } + (TakesContentWhole ? "" : Kind is StoreKind.S3 or StoreKind.Oss ? "    chunksize: 5242880\n" : "    chunksize: 1048576\n");

    private static string BucketUrl(Uri url) => $"http://{Radosgw.Bucket}.localhost:{url.Port}";

    private static string AccountUrl(Uri url) => $"{url.GetLeftPart(UriPartial.Authority)}/{Azurite.Account}";

    private S3Options S3(Uri url) => new()
    {
        RegionEndpoint = url.GetLeftPart(UriPartial.Authority),
        AccessKey = Radosgw.AccessKey,
        SecretKey = Radosgw.SecretKey,
        Bucket = Radosgw.Bucket,
        RootDirectory = $"/test/{_name}",
    };

    private OssOptions Oss(Uri url) => new()
    {
        Endpoint = BucketUrl(url),
        Region = "us-east-1",
        AccessKeyId = Radosgw.AccessKey,
        AccessKeySecret = Radosgw.SecretKey,
        Bucket = Radosgw.Bucket,
        RootDirectory = $"/test/{_name}",
    };

    private AzureOptions Azure(Uri url) => new()
    {
        ServiceUrl = AccountUrl(url),
        AccountName = Azurite.Account,
        AccountKey = Azurite.Key,
        Container = _name,
    };

    private GcsOptions Gcs(Uri url) => new()
    {
        Bucket = GoogleStorage.Bucket,
        KeyFile = _folder.Write("key.json", _google!.KeyFile()),
        RootDirectory = "/registry",
        Endpoint = url.OriginalString,
    };

    private SwiftOptions SwiftOf(Uri url) => new()
    {
        Username = Swift.User,
        Password = Swift.Password,
        AuthUrl = new Uri(url, "auth/v1.0").AbsoluteUri,
        Container = _name,
    };

    private GlanceOptions GlanceBesideSwift(Uri url) => new()
    {
        Endpoint = url.OriginalString,
        Username = Swift.User,
        Password = Swift.Password,
        AuthUrl = new Uri(_directNames!, "auth/v1.0").AbsoluteUri,
        Container = _name,
    };
}
