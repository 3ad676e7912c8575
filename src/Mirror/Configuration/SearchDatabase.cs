using System.Diagnostics.CodeAnalysis;

namespace Mirror.Configuration;

/// <summary>The kinds of databases for the index of search.</summary>
public enum SearchDatabaseKind
{
    Sqlite,
    MySql,
    PostgreSql,
}

/// <summary>A database, as a URL of SQLAlchemy names it: <c>dialect+driver://user:password@host:port/database</c>.</summary>
/// <param name="Path">The file of SQLite, or the name of the database.</param>
public sealed record SearchDatabase(
    SearchDatabaseKind Kind, string Path, string Host = "", int? Port = null, string User = "", string Password = "")
{
    /// <summary>What a URL may look like, as the end of a sentence.</summary>
    public const string Form =
        "sqlite:////folder/file.db, mysql://user:password@host/database or postgresql://user:password@host/database";

    /// <exception cref="FormatException">It is no such URL.</exception>
    public static SearchDatabase Parse(string url) =>
        TryParse(url, out var database) ? database : throw new FormatException($"not {Form}");

    public static bool TryParse(string url, [NotNullWhen(true)] out SearchDatabase? database)
    {
        database = null;
        if (url.Split("://", 2) is not [var scheme, var rest])
            return false;
        // The driver is a library of Python.
        var dialect = scheme.Split('+')[0];
        if (dialect is "sqlite")
        {
            // Three slashes, and a relative path; or four, and an absolute one.
            if (rest.Split('?')[0] is not ['/', .. { Length: > 0 } path] || path.StartsWith(':'))
                return false;
            database = new(SearchDatabaseKind.Sqlite, path);
            return true;
        }
        if ((dialect switch
        {
            "mysql" or "mariadb" => SearchDatabaseKind.MySql,
            "postgresql" or "postgres" => SearchDatabaseKind.PostgreSql,
            _ => (SearchDatabaseKind?)null,
        }) is not { } kind || !Uri.TryCreate($"{dialect}://{rest}", UriKind.Absolute, out var parsed)
            || HostOf(parsed) is not { Length: > 0 } host
            || parsed.AbsolutePath.Trim('/') is not { Length: > 0 } name || name.Contains('/', StringComparison.Ordinal))
            return false;
        var login = parsed.UserInfo.Split(':', 2);
        database = new(
            kind, Uri.UnescapeDataString(name), host, parsed.Port > 0 ? parsed.Port : null,
            Uri.UnescapeDataString(login[0]), Uri.UnescapeDataString(login.ElementAtOrDefault(1) ?? ""));
        return true;
    }

    // Null of a name that is no host's in any language.
    private static string? HostOf(Uri address)
    {
        try
        {
            return address.IdnHost.Trim('[', ']');
        }
        catch (UriFormatException)
        {
            return null;
        }
    }

    /// <summary>The database without its login.</summary>
    public override string ToString() => Kind is SearchDatabaseKind.Sqlite ? Path
        : $"{(Kind is SearchDatabaseKind.MySql ? "mysql" : "postgresql")}://{Host}{(Port is { } port ? $":{port}" : "")}/{Path}";
}
