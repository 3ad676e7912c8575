using System.Globalization;

namespace Mirror.Storage.Buckets.Split;

/// <summary>What the path of a content has in the bucket of names.</summary>
/// <param name="Id">The name of the content's object.</param>
/// <param name="Length">In bytes.</param>
internal sealed record ContentObject(Guid Id, long Length)
{
    public static ContentObject? Parse(string? text) => text?.Split(' ') is [var id, var length] && Guid.TryParse(id, out var named)
        && long.TryParse(length, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) ? new(named, bytes) : null;

    public override string ToString() => $"{Id} {Length.ToString(CultureInfo.InvariantCulture)}";
}
