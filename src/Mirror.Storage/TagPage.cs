namespace Mirror.Storage;

/// <summary>One page of a repository's tags.</summary>
/// <param name="More">Whether there are tags after the last one of this page.</param>
public sealed record TagPage(IReadOnlyList<string> Tags, bool More);
