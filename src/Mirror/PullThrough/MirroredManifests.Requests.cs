using System.Collections.Concurrent;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

// The requests to upstream: each once for all clients that wait for it.
public sealed partial class MirroredManifests
{
    // What upstream says to one login is no answer for another one.
    private readonly SingleFlight<(RepositoryName, string, bool ByGet, ActingClient?), UpstreamAnswer<Descriptor>> _checks = new();
    private readonly SingleFlight<(RepositoryName, Digest, ActingClient?), Manifest> _fetches = new();
    private readonly SingleFlight<(RepositoryName, Digest, ActingClient?), Descriptor?> _heads = new();
    private readonly SingleFlight<(RepositoryName, string, Digest, ActingClient?), (Manifest, bool)> _named = new();

    // How long clients wait until their manifest is stored. In a bucket, a collection that was killed can hold this up for two minutes.
    private static readonly TimeSpan MaxStoreWait = TimeSpan.FromSeconds(10);
    // A limit: each may have 4 MiB.
    private const int MaxStoring = 100;

    // Manifests that clients have got, and that are not stored yet.
    private readonly ConcurrentDictionary<(RepositoryName, Digest, ActingClient?), Manifest> _storing = new();

    private Task<(UpstreamAnswer<Descriptor> Result, bool Joined)> JoinCheck(RepositoryName name, string tag, bool byGet = false) =>
        _checks.JoinOrStart(
            (name, tag, byGet, ActingClient.Current), stop => CheckAsync(name, tag, stop, byGet), CancellationToken.None);

    private async Task<UpstreamAnswer<Descriptor>> AskAsync(
        RepositoryName name, string tag, bool byGet, CancellationToken cancellationToken)
    {
        var reference = Reference.Parse(tag);
        if (!byGet && await upstream.HeadManifestAsync(name, reference, cancellationToken) is { } head)
            return head;
        // The caller wants a GET, or upstream's HEAD lacks the length, the digest or the media type.
        var (manifest, isStale) = await upstream.GetManifestAsync(name, reference, cancellationToken);
        await StoreAsync(name, manifest, cancellationToken);
        return new(manifest.Descriptor, isStale);
    }

    private async ValueTask<Answer<Manifest>> FetchByDigestAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        var (manifest, joined) = await deadlines.WaitForMissAsync(name, JoinFetch(name, digest), cancellationToken);
        return new(manifest, joined ? CacheStatus.Joined : CacheStatus.Miss);
    }

    /// <param name="digest">What the check of the tag found.</param>
    private async ValueTask<Answer<Manifest>> FetchNamedAsync(
        RepositoryName name, string tag, Digest digest, bool hasCopy, CancellationToken cancellationToken)
    {
        var fetch = JoinNamed(name, tag, digest);
        var ((manifest, joinedFetch), joined) = await (hasCopy
            ? deadlines.WaitForRefreshAsync(name, fetch, cancellationToken)
            : deadlines.WaitForMissAsync(name, fetch, cancellationToken));
        return new(manifest, joined || joinedFetch ? CacheStatus.Joined : CacheStatus.Miss, Held: held.Find(name, tag));
    }

    private Task<((Manifest, bool) Result, bool Joined)> JoinNamed(RepositoryName name, string tag, Digest digest) =>
        _named.JoinOrStart(
            (name, tag, digest, ActingClient.Current), stop => FetchNamedOnceAsync(name, tag, digest, stop), CancellationToken.None);

    // Some registries send a manifest by its tag only, and the HEAD of others names a digest that they do not have. So if upstream does not
    // send the manifest by this digest, it is asked once by the tag.
    private async Task<(Manifest, bool Joined)> FetchNamedOnceAsync(
        RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken)
    {
        try
        {
            return await JoinFetch(name, digest);
        }
        catch (UpstreamException failure) when (MaySendOtherwise(failure))
        {
            var (named, joined) = await JoinCheck(name, tag, byGet: true);
            if (await FindStoredAsync(name, named.Value.Digest, cancellationToken) is { } manifest
                || _storing.TryGetValue((name, named.Value.Digest, ActingClient.Current), out manifest))
                return (manifest, joined);
            throw;
        }
    }

    // Whether another request for the same manifest may succeed after a failure of the first one.
    private bool MaySendOtherwise(UpstreamException failure) => failure switch
    {
        UpstreamLimitedException or UpstreamUnavailableException { IsLoginRefused: true } => false,
        // Upstream, or a host that it redirects to, gave no answer. If upstream itself can be reached, another request may succeed.
        UpstreamUnavailableException { InnerException: not null } => !upstream.State.IsUnavailable,
        _ => true,
    };

    private Task<(Manifest Result, bool Joined)> JoinFetch(RepositoryName name, Digest digest) =>
        _fetches.JoinOrStart(
            (name, digest, ActingClient.Current), stop => FetchOnceAsync(name, digest, stop), CancellationToken.None);

    private async Task<Manifest> FetchOnceAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (_storing.TryGetValue((name, digest, ActingClient.Current), out var manifest))
            return manifest;
        if (await ReadStoredAsync(digest, cancellationToken) is { } bytes)
        {
            // Another fetch may have stored it since this request looked. If another repository has it, one HEAD proves that this one may
            // serve it.
            if (await FindStoredAsync(name, digest, cancellationToken) is { } stored)
                return stored;
            if (await HeadAsync(name, digest) is { } head && head.Size == bytes.Length)
                manifest = new Manifest(head, bytes);
        }
        manifest ??= (await upstream.GetManifestAsync(name, digest, cancellationToken)).Value;
        await StoreAsync(name, manifest, cancellationToken);
        return manifest;
    }

    private ValueTask<byte[]?> ReadStoredAsync(Digest digest, CancellationToken cancellationToken) =>
        UnreadableException.SkipAsync(() => manifests.ReadAsync(digest, cancellationToken));

    private async Task<Descriptor?> HeadAsync(RepositoryName name, Digest digest) =>
        (await _heads.JoinOrStart(
            (name, digest, ActingClient.Current), async stop => (await upstream.HeadManifestAsync(name, digest, stop))?.Value,
            CancellationToken.None)).Result;

    // Stores a manifest. If the store is slow, the rest is done in the background.
    private async ValueTask StoreAsync(RepositoryName name, Manifest manifest, CancellationToken cancellationToken)
    {
        var key = (name, manifest.Descriptor.Digest, ActingClient.Current);
        if (_storing.Count >= MaxStoring)
        {
            await StoreToTheEndAsync(name, manifest, cancellationToken);
            return;
        }
        if (!_storing.TryAdd(key, manifest))
            return;
        var stored = ForgetWhenStoredAsync();
        try
        {
            await stored.WaitAsync(MaxStoreWait, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            // The client gets the manifest now.
        }

        async Task ForgetWhenStoredAsync()
        {
            try
            {
                await StoreToTheEndAsync(name, manifest, CancellationToken.None);
            }
            finally
            {
                _storing.TryRemove(key, out _);
            }
        }
    }

    private async Task StoreToTheEndAsync(RepositoryName name, Manifest manifest, CancellationToken cancellationToken)
    {
        try
        {
            await provenance.MarkAsync(name, manifest.Descriptor.Digest, Provenance.Copied, cancellationToken);
            await manifests.PutAsync(name, manifest, cancellationToken);
            await tags.ManifestStoredAsync(name, manifest.Descriptor.Digest, cancellationToken);
            await cache.NeededAsync(manifest, cancellationToken);
            completion.Stored(name, manifest);
            writes.Succeeded();
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            // The client can be served without a stored copy.
            writes.Failed($"manifest {manifest.Descriptor.Digest} of {name}", failure, name);
        }
    }
}
