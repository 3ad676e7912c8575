using Mirror.Storage;

namespace Mirror.Admin;

/// <summary>An image as lists show it.</summary>
/// <param name="Reference">As in <see cref="StoredImage"/>.</param>
/// <param name="Platforms">As in <see cref="StoredImage"/>.</param>
/// <param name="Bytes">The stored bytes of the image, each part counted once.</param>
/// <param name="SharedBytes">Those of its bytes that other images have too.</param>
/// <param name="Pulls">How often clients got its manifest.</param>
/// <param name="Id">Its number in the index.</param>
public sealed record ListedImage(
    RepositoryName Name, Reference Reference, Digest Digest, IReadOnlyList<string> Platforms, long Bytes, long SharedBytes, bool IsWhole,
    DateTimeOffset? LastUsed, long Pulls, long Id)
{
    /// <summary><c>name:tag</c>; <c>name@digest</c> of a manifest that no tag leads to.</summary>
    public string Text => new ImageName(Name, Reference).ToString();

    /// <summary>Null where no tag leads to the manifest.</summary>
    public string? Tag => Reference.IsTag(out var tag, out _) ? tag : null;
}

/// <summary>Orders of images other than by name. Platforms come in the order of their names, and all else the largest first.</summary>
public enum ImageOrder
{
    Platforms,
    Size,
    Shared,
    Pulls,
    LastUsed,
}

/// <summary>What all images together are.</summary>
/// <param name="Bytes">The bytes of all their parts, each part counted once.</param>
/// <param name="SharedBytes">Those of the bytes that belong to two images or more.</param>
public sealed record ImageTotals(long Repositories, long Images, long Parts, long Bytes, long SharedBytes);
