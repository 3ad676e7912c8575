using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;

namespace Mirror.Import;

/// <summary>
/// The store that images are imported into, as a push would: what it stores counts as pushed, and no garbage collection takes it. Servers
/// may use the store meanwhile.
/// </summary>
internal sealed class ImportTarget(
    IContentStore content, IReferenceStore references, IProvenanceStore provenance, IUploadStore uploads, TimeProvider time)
{
    private readonly PushProtection _protection = new(content, references);

    /// <summary>The digest that a tag names; null where there is no such tag.</summary>
    public ValueTask<Digest?> TagAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        references.ResolveTagAsync(name, tag, cancellationToken);

    /// <summary>Links a stored blob into a repository; false where it is not stored.</summary>
    public async ValueTask<bool> LinkAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        if (await content.SizeAsync(digest, cancellationToken) is null)
            return false;
        await provenance.MarkAsync(name, digest, Provenance.Pushed, cancellationToken);
        await references.LinkBlobAsync(name, digest, cancellationToken);
        return await content.TouchAsync(digest, cancellationToken);
    }

    /// <summary>Stores a blob of unknown length and digest.</summary>
    /// <param name="write">Writes its bytes.</param>
    public async Task<(Digest Digest, long Size)> StoreAsync(
        RepositoryName name, Func<SpoolStream, Task> write, CancellationToken cancellationToken)
    {
        var id = Guid.NewGuid();
        uploads.Start(name, id, time.GetUtcNow());
        try
        {
            await using var spool = uploads.Open(name, id, "sha256")
                ?? throw new IOException("the upload that was just begun is gone");
            await using var stream = new SpoolStream(spool);
            await write(stream);
            var (digest, size) = (stream.TakeDigest(), spool.Length);
            if (!await spool.VerifyAsync(digest, cancellationToken))
                throw new IOException("the temporary file has other bytes than were written to it");
            await provenance.MarkAsync(name, digest, Provenance.Pushed, cancellationToken);
            await references.LinkBlobAsync(name, digest, cancellationToken);
            await content.CommitAsync(spool, digest, cancellationToken);
            return (digest, size);
        }
        finally
        {
            await uploads.DeleteAsync(name, id, CancellationToken.None);
        }
    }

    /// <summary>Stores the config and the manifest, and sets the tag.</summary>
    /// <exception cref="IOException">A garbage collection took a layer meanwhile; the tag is not set.</exception>
    public async Task TagAsync(
        RepositoryName name, string tag, Manifest manifest, byte[] config, IEnumerable<Digest> layers, CancellationToken cancellationToken)
    {
        var (digest, settings) = (manifest.Descriptor.Digest, Digest.Of(config));
        await provenance.MarkAsync(name, settings, Provenance.Pushed, cancellationToken);
        await references.LinkBlobAsync(name, settings, cancellationToken);
        await content.PutAsync(settings, config, cancellationToken);
        await provenance.MarkAsync(name, digest, Provenance.Pushed, cancellationToken);
        await content.PutAsync(digest, manifest.Bytes, cancellationToken);
        await references.LinkManifestAsync(name, digest, null, cancellationToken);
        Digest[] blobs = [settings, .. layers.Distinct()];
        // As for a push: before the tag and after it.
        await RequireAsync();
        await references.SetTagAsync(name, tag, digest, cancellationToken);
        await RequireAsync();

        async ValueTask RequireAsync()
        {
            if (await _protection.TouchAllAsync(name, blobs, [digest], cancellationToken) is { } missing)
                throw new IOException($"a garbage collection deleted {missing} of {name} meanwhile; run the import again");
        }
    }
}
