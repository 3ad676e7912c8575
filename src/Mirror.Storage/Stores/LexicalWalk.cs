namespace Mirror.Storage.Stores;

/// <summary>
/// The order in which a walk through the folders finds the repositories' names in lexical order, as pages of <c>_catalog</c> need them.
/// <c>a-b</c> stands between <c>a</c> and <c>a/b</c>, so a folder has two places: one for itself, and one for what is below it.
/// </summary>
internal static class LexicalWalk
{
    /// <summary>The steps through the children of one folder: each child twice, first itself and then all that is below it.</summary>
    /// <param name="children">The names of the children, in ordinal order.</param>
    public static IEnumerable<(string Child, bool IsBelow)> Steps(IEnumerable<string> children)
    {
        // The children whose second step is still to come; the one on top has the first of these steps.
        var open = new Stack<string>();
        foreach (var child in children)
        {
            while (open.TryPeek(out var earlier) && !IsBeforeBelow(child, earlier))
                yield return (open.Pop(), true);
            yield return (child, false);
            open.Push(child);
        }
        while (open.TryPop(out var last))
            yield return (last, true);
    }

    // Whether a later sibling comes before what is below the earlier one: only a name such as "a-b" or "a.b" after "a".
    private static bool IsBeforeBelow(string later, string earlier) =>
        later.StartsWith(earlier, StringComparison.Ordinal) && later[earlier.Length] < '/';
}
