namespace Mirror.Tests.Peers.Elliptics;

/// <summary>
/// The two interfaces that Rift had. Neither understands the requests of the other: a server that a test starts has one of them.
/// </summary>
public enum RiftRelease
{
    /// <summary>0.6: <c>/get?name=KEY&amp;namespace=BUCKET</c>. It cannot delete.</summary>
    ByQuery,

    /// <summary>From 2.24 on: <c>/get/BUCKET/KEY</c>.</summary>
    ByPath,
}

/// <summary>What a user of a bucket may do, beside reading. Releases by path.</summary>
[Flags]
public enum RiftRights
{
    None = 0,

    /// <summary>The user needs no signature.</summary>
    NoToken = 1,
    Write = 2,

    /// <summary>The user may change the bucket itself.</summary>
    Admin = 4,
}

/// <param name="Name">A request without <c>Authorization</c> is one of the user <c>*</c>.</param>
/// <param name="Token">The key of the signatures.</param>
public sealed record RiftUser(string Name, string Token, RiftRights Rights);

/// <summary>A bucket: a namespace for keys, with rules who may read and write them.</summary>
public sealed record RiftBucket(string Name)
{
    /// <summary>The key of the signatures of release 0.6; empty: none is asked for.</summary>
    public string Token { get; init; } = "";

    /// <summary>Release 0.6: reading needs no signature.</summary>
    public bool IsReadWithoutToken { get; init; }

    /// <summary>Releases by path. Of an empty list every request may read, and none may write.</summary>
    public IReadOnlyList<RiftUser> Users { get; init; } = [];
}
