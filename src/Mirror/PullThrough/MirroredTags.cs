using Mirror.Configuration;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.PullThrough;

/// <summary>
/// The tags of mirrored repositories: when they were last checked, and what they name here. A tag moves only to a manifest that is stored, so
/// that it never names what cannot be served.
/// </summary>
public sealed partial class MirroredTags(ProxyOptions proxy, TagFreshness checks, PendingTags pending, IReferenceStore references, ILogger<MirroredTags> log)
{
    private readonly NamePattern[] _immutable = [.. proxy.ImmutableTags.Select(pattern => new NamePattern(pattern))];

    /// <summary>What the tag names, if upstream said so within <c>proxy.tags_cache_ttl</c>.</summary>
    public ValueTask<Descriptor?> FreshAsync(RepositoryName name, string tag) => checks.FreshAsync(name, tag);

    /// <summary>Whether upstream never moves the tag (<c>proxy.immutable_tags</c>).</summary>
    public bool IsImmutable(string tag) => NamePattern.AnyMatches(_immutable, tag);

    /// <summary>Whether the tag is served before it is checked, or without.</summary>
    public bool ChecksLater(string tag) => proxy.StaleWhileRevalidate || IsImmutable(tag);

    /// <summary>Whether the tag may be served though upstream cannot be asked (<c>proxy.max_stale</c>).</summary>
    public bool MayBeServedStale(RepositoryName name, string tag) => checks.MayBeServedStale(name, tag);

    /// <summary>What the tag named when it was last stored; null where it never was.</summary>
    public ValueTask<Digest?> LastAsync(RepositoryName name, string tag, CancellationToken cancellationToken) =>
        references.ResolveTagAsync(name, tag, cancellationToken);

    /// <summary>Upstream said what the tag names: it moves now, or when that is stored.</summary>
    public async ValueTask CheckedAsync(RepositoryName name, string tag, Descriptor now, bool isStored, CancellationToken cancellationToken)
    {
        var moved = await references.ResolveTagAsync(name, tag, cancellationToken) is { } last && last != now.Digest;
        if (isStored)
            await MoveAsync(name, tag, now.Digest, cancellationToken);
        else
            pending.Add(name, tag, now.Digest);
        await checks.CheckedAsync(name, tag, now, moved);
    }

    /// <summary>A manifest is stored: the tags that waited for it move.</summary>
    public async ValueTask StoredAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        foreach (var tag in pending.Take(name, digest))
            await MoveAsync(name, tag, digest, cancellationToken);
    }

    /// <summary>Upstream has the tag no longer.</summary>
    public async ValueTask RemoveAsync(RepositoryName name, string tag, CancellationToken cancellationToken)
    {
        await checks.ForgetAsync(name, tag);
        try
        {
            await references.DeleteTagAsync(name, tag, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            LogNotMoved(name.ToString(), tag, failure.Message);
        }
    }

    private async ValueTask MoveAsync(RepositoryName name, string tag, Digest digest, CancellationToken cancellationToken)
    {
        try
        {
            if (await references.ResolveTagAsync(name, tag, cancellationToken) != digest)
                await references.SetTagAsync(name, tag, digest, cancellationToken);
        }
        catch (Exception failure) when (failure.IsStoreFailure)
        {
            LogNotMoved(name.ToString(), tag, failure.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "cannot store what {Name}:{Tag} names; upstream will be asked again: {Reason}")]
    private partial void LogNotMoved(string name, string tag, string reason);
}
