namespace Mirror.Storage;

/// <summary>Lengths that manifests claim of their content. A client chooses them, and content need not have them.</summary>
public static class ClaimedLengths
{
    /// <summary>Their sum in bytes, or <see cref="long.MaxValue"/> if the sum is larger.</summary>
    /// <param name="lengths">Each 0 or more.</param>
    public static long Total(this IEnumerable<long> lengths) =>
        lengths.Aggregate(0L, (sum, length) => sum > long.MaxValue - length ? long.MaxValue : sum + length);
}
