namespace Mirror.Admin;

/// <summary>The pattern of SQL's <c>like</c> (with <c>\</c> as its escape character) that finds a text anywhere in a name.</summary>
internal static class SearchPattern
{
    /// <summary>The value of a parameter; a null of the database where there is nothing to search for.</summary>
    public static object Of(string? search) => search is null ? DBNull.Value : $"%{Escaped(search)}%";

    private static string Escaped(string text) => text
        .Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace("%", "\\%", StringComparison.Ordinal)
        .Replace("_", "\\_", StringComparison.Ordinal);
}
