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
    private readonly SingleFlight<(RepositoryName, string, bool ByGet, ActingClient?), Descriptor> _checks = new();
    private readonly SingleFlight<(RepositoryName, Digest, ActingClient?), Manifest> _fetches = new();
    private readonly SingleFlight<(RepositoryName, Digest, ActingClient?), Descriptor?> _heads = new();

    private Task<(Descriptor Result, bool Joined)> JoinCheck(RepositoryName name, string tag, bool byGet = false) =>
        _checks.JoinOrStart(
            (name, tag, byGet, ActingClient.Current), stop => CheckAsync(name, tag, stop, byGet), CancellationToken.None);

    private async Task<Descriptor> AskAsync(RepositoryName name, string tag, bool byGet, CancellationToken cancellationToken)
    {
        var reference = Reference.Parse(tag);
        if (!byGet && await upstream.HeadManifestAsync(name, reference, cancellationToken) is { } head)
            return head;
        // Upstream's HEAD lacks the length or the digest. So request the manifest itself.
        var manifest = await upstream.GetManifestAsync(name, reference, cancellationToken);
        await StoreAsync(name, manifest, cancellationToken);
        return manifest.Descriptor;
    }

    private async ValueTask<Answer<Manifest>> FetchByDigestAsync(
        RepositoryName name, Digest digest, bool hasCopy, CancellationToken cancellationToken)
    {
        var fetch = _fetches.JoinOrStart(
            (name, digest, ActingClient.Current), stop => FetchOnceAsync(name, digest, stop), CancellationToken.None);
        var (manifest, joined) = await (hasCopy
            ? deadlines.WaitForRefreshAsync(name, fetch, cancellationToken)
            : deadlines.WaitForMissAsync(name, fetch, cancellationToken));
        return new(manifest, joined ? CacheStatus.Joined : CacheStatus.Miss);
    }

    private async Task<Manifest> FetchOnceAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        Manifest? manifest = null;
        if (await manifests.ReadAsync(digest, cancellationToken) is { } bytes)
        {
            // Another fetch may have stored it since this request looked. If another repository has it, one HEAD proves that this one may
            // serve it.
            if (await manifests.FindAsync(name, digest, cancellationToken) is { } stored)
                return stored;
            if (await HeadAsync(name, digest) is { } head)
                manifest = new Manifest(head with { Size = bytes.Length }, bytes);
        }
        manifest ??= await upstream.GetManifestAsync(name, digest, cancellationToken);
        await StoreAsync(name, manifest, cancellationToken);
        return manifest;
    }

    private async Task<Descriptor?> HeadAsync(RepositoryName name, Digest digest) =>
        (await _heads.JoinOrStart(
            (name, digest, ActingClient.Current), stop => upstream.HeadManifestAsync(name, digest, stop), CancellationToken.None)).Result;

    private async ValueTask StoreAsync(RepositoryName name, Manifest manifest, CancellationToken cancellationToken)
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
            writes.Failed($"manifest {manifest.Descriptor.Digest} of {name}", failure);
        }
    }
}
