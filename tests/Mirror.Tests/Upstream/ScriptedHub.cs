using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Http;
using Mirror.Storage;
using Mirror.Tests.Images;

namespace Mirror.Tests.Upstream;

/// <summary>
/// A Docker Hub that does what the test tells it: a registry, a token service and a CDN, each on a port of its own on the loopback address.
/// It asks for tokens as Docker Hub does, redirects blobs to signed URLs, counts everything, and fails in the way and at the place
/// the test chose.
/// </summary>
public sealed class ScriptedHub : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly List<Rule> _rules = [];
    private readonly ConcurrentDictionary<string, ConcurrentQueue<BlobFault>> _faults = new();

    private ScriptedHub(string address, X509Certificate2? certificate = null, bool isKnownByName = false, string? tokenAddress = null)
    {
        Registry = new HubOrigin("registry", address, context => AnswerAsync(context, "registry", RegistryPort.AnswerAsync), certificate);
        Token = new HubOrigin("token", tokenAddress ?? address,
            context => AnswerAsync(context, "token", TokenPort.AnswerAsync), certificate);
        Cdn = new HubOrigin("cdn", address, context => AnswerAsync(context, "cdn", CdnPort.AnswerAsync), certificate);
        Names = isKnownByName ? new DockerHubNames(Registry, Token, Cdn, certificate!) : null;
        Realm = Names is null ? new Uri(Token.Url, "/token") : new Uri($"https://{DockerHubNames.Token}/token");
    }

    /// <summary>Starts an empty hub.</summary>
    /// <param name="address">A loopback address; others than 127.0.0.1 make a second, foreign host.</param>
    /// <param name="tokenAddress">Where the token service is; null is the same host.</param>
    public static async Task<ScriptedHub> StartAsync(string address = "127.0.0.1", string? tokenAddress = null)
    {
        var hub = new ScriptedHub(address, tokenAddress: tokenAddress);
        await Task.WhenAll(hub.Registry.BringUpAsync(), hub.Token.BringUpAsync(), hub.Cdn.BringUpAsync());
        return hub;
    }

    /// <summary>Starts an empty hub that is known by Docker Hub's own names, over TLS.</summary>
    public static async Task<ScriptedHub> StartUnderItsOwnNamesAsync()
    {
        var hub = new ScriptedHub("127.0.0.1", DockerHubNames.NewCertificate(), isKnownByName: true);
        await Task.WhenAll(hub.Registry.BringUpAsync(), hub.Token.BringUpAsync(), hub.Cdn.BringUpAsync());
        return hub;
    }

    /// <summary>Starts an empty hub that speaks TLS only.</summary>
    /// <param name="client">The only client certificate that the registry accepts; null accepts every client.</param>
    public static async Task<ScriptedHub> StartOverTlsAsync(X509Certificate2 certificate, X509Certificate2? client)
    {
        var hub = new ScriptedHub("127.0.0.1", certificate);
        hub.Registry.OnlyClient = client;
        await Task.WhenAll(hub.Registry.BringUpAsync(), hub.Token.BringUpAsync(), hub.Cdn.BringUpAsync());
        return hub;
    }

    public HubOrigin Registry { get; }

    public HubOrigin Token { get; }

    public HubOrigin Cdn { get; }

    /// <summary>The way to Docker Hub's names, where the hub has them.</summary>
    public DockerHubNames? Names { get; }

    /// <summary>The registry's address: what a mirror has as its upstream.</summary>
    public Uri Url => Names is null ? Registry.Url : new Uri($"https://{DockerHubNames.Registry}");

    /// <summary>What was asked and sent.</summary>
    public HubLog Log { get; } = new();

    /// <summary>The link all blob bytes go over.</summary>
    public Throttle Link { get; } = new();

    /// <summary>Where the challenge sends clients for tokens; a test may point it elsewhere.</summary>
    public Uri Realm { get; set; }

    /// <summary>Whether a token is asked for at all.</summary>
    public bool AsksForTokens { get; set; } = true;

    /// <summary>Seconds a token says it lives; null leaves <c>expires_in</c> out, which means 60.</summary>
    public int? TokenLifetime { get; set; } = 300;

    /// <summary>The one account there is; null means every password is wrong.</summary>
    public (string User, string Password)? Account { get; set; }

    /// <summary>Repositories only the account may read.</summary>
    public ISet<string> Private { get; } = new HashSet<string>(StringComparer.Ordinal);

    /// <summary>Blobs are redirected to the CDN; otherwise the registry sends them itself.</summary>
    public bool RedirectsBlobs { get; set; } = true;

    /// <summary>Pulls allowed, or null where there is no limit and no header about it.</summary>
    public int? PullLimit { get; set; } = 100;

    /// <summary>Pulls counted: GETs of manifests. HEAD is free.</summary>
    public int Pulls => _pulls;

    internal ConcurrentDictionary<string, HubRepository> Repositories { get; } = new(StringComparer.Ordinal);

    internal ConcurrentDictionary<string, string> Tokens { get; } = new();

    internal ConcurrentDictionary<string, Digest> Signatures { get; } = new();

    private int _pulls;

    /// <summary>Puts an image of these layers under a tag; the config is derived from them.</summary>
    /// <returns>Everything that has a digest.</returns>
    public HubImage AddImage(string repository, string tag, params HubBlob[] layers)
    {
        var digests = string.Join(',', layers.Select(l => $"\"{l.Digest}\""));
        var config = HubBlob.Of(Encoding.UTF8.GetBytes(
            $$$"""{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[{{{digests}}}]}}"""));
        return AddImage(repository, tag, new ImageTypes(Oci: false), config, layers);
    }

    /// <summary>Puts a real image, which clients can unpack, under a tag.</summary>
    public HubImage AddImage(string repository, string tag, TestImage image) =>
        AddImage(repository, tag, image.Types, HubBlob.Of(image.Config), [.. image.Layers.Select(l => HubBlob.Of(l.Bytes))]);

    /// <summary>Puts an index (manifest list) over images that are in the repository already.</summary>
    public HubManifest AddIndex(string repository, string tag, params (HubImage Image, string Architecture)[] images)
    {
        var types = new ImageTypes(Oci: images[0].Image.MediaType.StartsWith("application/vnd.oci.", StringComparison.Ordinal));
        var bytes = ManifestText.Index(types, images.Select(i => (i.Image.Digest, (long)i.Image.Bytes.Length, i.Architecture)));
        return AddManifest(repository, tag, types.Index, bytes);
    }

    /// <summary>Puts any bytes as a manifest, with a tag or without.</summary>
    public HubManifest AddManifest(string repository, string? tag, string mediaType, byte[] bytes)
    {
        var manifest = new HubManifest(mediaType, bytes);
        Repository(repository).Manifests[manifest.Digest.ToString()] = manifest;
        if (tag is not null)
            MoveTag(repository, tag, manifest.Digest);
        return manifest;
    }

    public HubBlob AddBlob(string repository, HubBlob blob) => Repository(repository).Blobs[blob.Digest.ToString()] = blob;

    public void MoveTag(string repository, string tag, Digest digest) => Repository(repository).Tags[tag] = digest;

    public void DeleteTag(string repository, string tag) => Repository(repository).Tags.TryRemove(tag, out _);

    /// <summary>
    /// Answers the requests that match in another way, all of them or the first <paramref name="times"/>. Rules are tried in order.
    /// </summary>
    /// <returns>Disposed, the rule is gone.</returns>
    public IDisposable Script(Func<HubRequest, bool> when, Answer answer, int times = int.MaxValue)
    {
        var rule = new Rule(this, when, answer) { Left = times };
        lock (_gate)
            _rules.Add(rule);
        return rule;
    }

    /// <summary>As <see cref="Script(Func{HubRequest, bool}, Answer, int)"/>, for everything asked of one kind.</summary>
    public IDisposable Script(Asked asked, Answer answer, int times = int.MaxValue) => Script(r => r.Asked == asked, answer, times);

    /// <summary>Lets the next <paramref name="times"/> answers with this blob's bytes go wrong.</summary>
    public void Fault(Digest digest, BlobFault fault, int times = 1)
    {
        var queue = _faults.GetOrAdd(digest.ToString(), _ => new());
        for (var i = 0; i < times; i++)
            queue.Enqueue(fault);
    }

    /// <summary>Tokens handed out so far are refused from now on.</summary>
    public void RevokeTokens() => Tokens.Clear();

    /// <summary>Signed URLs handed out so far answer 403 from now on.</summary>
    public void ExpireSignatures() => Signatures.Clear();

    public async ValueTask DisposeAsync()
    {
        await Registry.DisposeAsync();
        await Token.DisposeAsync();
        await Cdn.DisposeAsync();
        if (Names is not null)
            await Names.DisposeAsync();
    }

    internal BlobFault? NextFault(Digest digest) =>
        _faults.TryGetValue(digest.ToString(), out var queue) && queue.TryDequeue(out var fault) ? fault : null;

    internal int CountPull() => Interlocked.Increment(ref _pulls);

    /// <summary>A signed address for the bytes of a blob, good until the signatures are expired.</summary>
    internal Uri Sign(string repository, Digest digest)
    {
        var signature = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        Signatures[signature] = digest;
        var cdn = Names is null ? Cdn.Url : new Uri($"https://{DockerHubNames.Cdn}");
        return new Uri(cdn, $"/registry-v2/{repository}/{digest.Algorithm}/{digest.Hex}/data?verify={signature}");
    }

    private HubRepository Repository(string name) => Repositories.GetOrAdd(name, _ => new());

    private HubImage AddImage(string repository, string tag, ImageTypes types, HubBlob config, IReadOnlyList<HubBlob> layers)
    {
        AddBlob(repository, config);
        foreach (var layer in layers)
            AddBlob(repository, layer);
        var bytes = ManifestText.Image(types, (config.Digest, config.Size), layers.Select(l => (l.Digest, l.Size)));
        var manifest = AddManifest(repository, tag, types.Manifest, bytes);
        return new HubImage(manifest.Digest, bytes, types.Manifest, config, layers);
    }

    private async Task AnswerAsync(HttpContext context, string origin, Func<HttpContext, ScriptedHub, Task> answer)
    {
        var headers = context.Request.Headers;
        var request = new HubRequest(
            origin, AskedFor(origin, context.Request.Path),
            context.Request.Method, context.Request.Path, context.Request.QueryString.ToString(),
            Text(headers.Authorization), Text(headers.Range), Text(headers.Accept), Text(headers.AcceptEncoding));
        Log.Add(request);
        try
        {
            if (Take(request) is not { } scripted || !await scripted.GiveAsync(context, this))
                await answer(context, this);
            request.Status = context.Response.StatusCode;
        }
        catch (Exception gone) when (gone is OperationCanceledException or IOException)
        {
            // The client hung up, or this origin is going down.
        }
    }

    private static Asked AskedFor(string origin, string path) => origin switch
    {
        "token" => Asked.Token,
        "cdn" => Asked.BlobBytes,
        _ => path.TrimEnd('/') == "/v2" ? Asked.Ping
            : RegistryPort.TryParse(path, out var asked, out _, out _) ? asked
            : Asked.Other,
    };

    private static string? Text(Microsoft.Extensions.Primitives.StringValues values) =>
        values.Count == 0 ? null : string.Join(", ", values.ToArray());

    private Answer? Take(HubRequest request)
    {
        lock (_gate)
        {
            var rule = _rules.Find(r => r.Left > 0 && r.When(request));
            if (rule is null)
                return null;
            rule.Left--;
            return rule.Answer;
        }
    }

    private sealed class Rule(ScriptedHub hub, Func<HubRequest, bool> when, Answer answer) : IDisposable
    {
        internal Func<HubRequest, bool> When => when;

        internal Answer Answer => answer;

        internal int Left { get; set; }

        public void Dispose()
        {
            lock (hub._gate)
                hub._rules.Remove(this);
        }
    }
}
