using System.Globalization;
using Microsoft.Data.Sqlite;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using static Mirror.Admin.SqliteFile;

namespace Mirror.Admin;

/// <summary>An image as lists show it.</summary>
/// <param name="Platforms">As in <see cref="StoredImage"/>.</param>
/// <param name="Bytes">The stored bytes of the image, each part counted once.</param>
/// <param name="SharedBytes">Those of its bytes that other images have too.</param>
/// <param name="Pulls">How often clients got its manifest; null where this server has not seen one.</param>
public sealed record ListedImage(
    RepositoryName Name, string Tag, Digest Digest, IReadOnlyList<string> Platforms, long Bytes, long SharedBytes, bool IsWhole,
    DateTimeOffset? LastUsed, long Pulls);

/// <summary>What all images together are.</summary>
/// <param name="Bytes">The bytes of all their parts, each part counted once.</param>
/// <param name="SharedBytes">Those of the bytes that belong to two images or more.</param>
public sealed record ImageTotals(long Repositories, long Images, long Parts, long Bytes, long SharedBytes);

/// <summary>
/// An index of the images in a file of SQLite: it can be built again from the store at any time, and no decision relies on it. Only what it
/// knows of uses is nowhere else. Any method may be called from any thread.
/// </summary>
public sealed class ImageIndex(string file) : IDisposable
{
    // 4 MiB of pages for each connection.
    private const string Schema = """
        pragma journal_mode = wal; pragma synchronous = normal;
        create table if not exists image(
            id integer primary key, name text not null, tag text not null, digest text not null, platforms text not null,
            whole integer not null, seen integer not null, unique(name, tag));
        create table if not exists part(id integer primary key, digest text not null unique, bytes integer not null);
        create table if not exists image_part(image integer not null, part integer not null, primary key(image, part)) without rowid;
        create index if not exists images_of_part on image_part(part);
        create table if not exists pulled(
            name text not null, reference text not null, pulls integer not null, last integer not null,
            primary key(name, reference)) without rowid;
        create table if not exists manifest(digest text primary key, names text not null) without rowid;
        create table if not exists size(at integer primary key, bytes integer not null);
        create table if not exists state(key text primary key, value integer not null) without rowid;
        """;

    private const string Columns = """
        i.name, i.tag, i.digest, i.platforms, i.whole,
        (select coalesce(sum(p.bytes), 0) from image_part x join part p on p.id = x.part where x.image = i.id),
        (select coalesce(sum(p.bytes), 0) from image_part x join part p on p.id = x.part where x.image = i.id
            and exists(select 1 from image_part y where y.part = x.part and y.image <> i.id)),
        coalesce((select max(last) from pulled where name = i.name and reference in (i.tag, i.digest)), 0),
        coalesce((select sum(pulls) from pulled where name = i.name and reference in (i.tag, i.digest)), 0)
        """;

    private const int MaxNotes = 2_000_000;

    private readonly SqliteFile _file = new(file, Schema);

    /// <summary>When the whole store was last read into the index; null where that has not happened yet.</summary>
    public DateTimeOffset? Built => Read(connection => State(connection, "built")) is { } seconds
        ? DateTimeOffset.FromUnixTimeSeconds(seconds)
        : null;

    /// <summary>A page of images in the order of their names and tags.</summary>
    /// <param name="search">A part of <c>name:tag</c>; null for all.</param>
    /// <param name="after">The last image of the page before.</param>
    public IReadOnlyList<ListedImage> Page(string? search, (string Name, string Tag)? after, int count) => Read(connection =>
    {
        using var command = Command(
            connection,
            $"""
            select {Columns} from image i where (i.name, i.tag) > ($name, $tag)
            and ($search is null or i.name || ':' || i.tag like $search escape '\') order by i.name, i.tag limit $count
            """,
            ("$name", after?.Name ?? ""), ("$tag", after?.Tag ?? ""), ("$count", count),
            ("$search", search is null ? DBNull.Value : $"%{Escaped(search)}%"));
        using var rows = command.ExecuteReader();
        List<ListedImage> page = [];
        while (rows.Read())
            page.Add(new(
                RepositoryName.Parse(rows.GetString(0)), rows.GetString(1), Digest.Parse(rows.GetString(2)),
                rows.GetString(3).Split(',', StringSplitOptions.RemoveEmptyEntries), rows.GetInt64(5), rows.GetInt64(6),
                rows.GetInt64(4) != 0, rows.GetInt64(7) is > 0 and var last ? DateTimeOffset.FromUnixTimeMilliseconds(last) : null,
                rows.GetInt64(8)));
        return page;
    });

    /// <summary>Some of the images that a part belongs to, as <c>name:tag</c>.</summary>
    public IReadOnlyList<string> ImagesWith(Digest part, int most) => Read(connection =>
    {
        using var command = Command(
            connection,
            "select i.name || ':' || i.tag from part p join image_part x on x.part = p.id join image i on i.id = x.image "
            + "where p.digest = $digest order by 1 limit $most",
            ("$digest", part.ToString()), ("$most", most));
        using var rows = command.ExecuteReader();
        List<string> images = [];
        while (rows.Read())
            images.Add(rows.GetString(0));
        return images;
    });

    /// <summary>The tags that name a manifest, in ordinal order.</summary>
    public IReadOnlyList<string> TagsOf(RepositoryName name, Digest manifest) => Read(connection =>
    {
        using var command = Command(
            connection, "select tag from image where name = $name and digest = $digest order by tag",
            ("$name", name.ToString()), ("$digest", manifest.ToString()));
        using var rows = command.ExecuteReader();
        List<string> tags = [];
        while (rows.Read())
            tags.Add(rows.GetString(0));
        return tags;
    });

    /// <summary>Tells the last pull of each manifest; that by a tag counts for what the tag names.</summary>
    public void ReadPulls(Action<RepositoryName, Digest, DateTimeOffset> pulled) => Read(connection =>
    {
        using var command = Command(connection, """
            select u.name, coalesce(i.digest, u.reference), u.last from pulled u
            left join image i on i.name = u.name and i.tag = u.reference where i.digest is not null or u.reference like '%:%'
            """);
        using var rows = command.ExecuteReader();
        while (rows.Read())
            if (RepositoryName.TryParse(rows.GetString(0), out var name) && Digest.TryParse(rows.GetString(1), out var digest))
                pulled(name, digest, DateTimeOffset.FromUnixTimeMilliseconds(rows.GetInt64(2)));
        return true;
    });

    /// <summary>Notes how many bytes all images had at a time. Those of the last two days are kept.</summary>
    public void NoteSize(DateTimeOffset at, long bytes) => Write(connection =>
    {
        using var command = Command(
            connection, "delete from size where at < $at - 172800; insert or replace into size values($at, $bytes)",
            ("$at", at.ToUnixTimeSeconds()), ("$bytes", bytes));
        command.ExecuteNonQuery();
    });

    /// <summary>By how many bytes the images grow in a day, from the size that was noted about a day before; less than zero where they
    /// shrink. Null where none was noted an hour before or earlier.</summary>
    public long? Growth(DateTimeOffset now, long bytes) => Read(connection =>
    {
        using var command = Command(
            connection, "select at, bytes from size where at <= $now - 3600 order by abs(at - ($now - 86400)) limit 1",
            ("$now", now.ToUnixTimeSeconds()));
        using var row = command.ExecuteReader();
        return row.Read() ? (long?)((bytes - row.GetInt64(1)) * 86400.0 / (now.ToUnixTimeSeconds() - row.GetInt64(0))) : null;
    });

    /// <summary>The tags that clients pulled most, by their names, the most pulled first.</summary>
    public IReadOnlyList<(RepositoryName Name, string Tag)> MostPulled(int count) => Read(connection =>
    {
        using var command = Command(
            connection, "select name, reference from pulled where reference not like '%:%' order by pulls desc, last desc limit $count",
            ("$count", count));
        using var rows = command.ExecuteReader();
        List<(RepositoryName, string)> tags = [];
        while (rows.Read())
            tags.Add((RepositoryName.Parse(rows.GetString(0)), rows.GetString(1)));
        return tags;
    });

    /// <summary>What is noted of some manifests.</summary>
    public IReadOnlyDictionary<Digest, NotedManifest> Notes(IEnumerable<Digest> manifests) => Read(connection =>
    {
        Dictionary<Digest, NotedManifest> notes = [];
        using var command = Command(connection, "select names from manifest where digest = $digest", ("$digest", ""));
        foreach (var digest in manifests)
        {
            Set(command, digest.ToString());
            if (command.ExecuteScalar() is string names)
                notes[digest] = new NotedManifest(Named(names, 'm'), Named(names, 'b'));
        }
        return notes;
    });

    /// <summary>Notes what manifests name. A manifest never changes; of too many, all are forgotten.</summary>
    public void Note(IReadOnlyDictionary<Digest, NotedManifest> manifests) => Write(connection =>
    {
        using (var full = Command(
            connection, "delete from manifest where (select count(*) from manifest) > $most", ("$most", MaxNotes)))
            full.ExecuteNonQuery();
        using var command = Command(connection, "insert or replace into manifest values($digest, $names)", ("$digest", ""), ("$names", ""));
        foreach (var (digest, names) in manifests)
        {
            Set(
                command, digest.ToString(),
                string.Join(' ', names.Manifests.Select(each => $"m{each}").Concat(names.Blobs.Select(each => $"b{each}"))));
            command.ExecuteNonQuery();
        }
    });

    /// <summary>What all images together are.</summary>
    public ImageTotals Totals() => Read(connection =>
    {
        using var command = Command(connection, """
            select (select count(distinct name) from image), (select count(*) from image), count(*), coalesce(sum(bytes), 0),
                coalesce(sum(case when images > 1 then bytes end), 0)
            from (select p.bytes, count(*) images from image_part x join part p on p.id = x.part group by x.part)
            """);
        using var row = command.ExecuteReader();
        row.Read();
        return new ImageTotals(row.GetInt64(0), row.GetInt64(1), row.GetInt64(2), row.GetInt64(3), row.GetInt64(4));
    });

    /// <summary>Puts images in, or in the place of what the index had of them.</summary>
    /// <param name="seen">From <see cref="BeginReading"/>.</param>
    public void Put(IReadOnlyList<StoredImage> images, long seen) => Write(connection =>
    {
        using var image = Command(
            connection,
            """
            insert into image(name, tag, digest, platforms, whole, seen) values($name, $tag, $digest, $platforms, $whole, $seen)
            on conflict(name, tag) do update set digest = excluded.digest, platforms = excluded.platforms, whole = excluded.whole,
                seen = excluded.seen
            returning id
            """,
            ("$name", ""), ("$tag", ""), ("$digest", ""), ("$platforms", ""), ("$whole", 0L), ("$seen", seen));
        using var part = Command(
            connection, "insert into part(digest, bytes) values($digest, $bytes) on conflict(digest) do update set bytes = excluded.bytes "
                + "returning id",
            ("$digest", ""), ("$bytes", 0L));
        using var link = Command(connection, "insert or ignore into image_part values($image, $part)", ("$image", 0L), ("$part", 0L));
        using var unlink = Command(connection, "delete from image_part where image = $image", ("$image", 0L));
        foreach (var each in images)
        {
            var platforms = string.Join(',', each.Platforms);
            Set(image, each.Name.ToString(), each.Tag, each.Digest.ToString(), platforms, each.IsWhole ? 1L : 0L, seen);
            var id = (long)image.ExecuteScalar()!;
            Set(unlink, id);
            unlink.ExecuteNonQuery();
            foreach (var (digest, bytes) in each.Parts)
            {
                Set(part, digest.ToString(), bytes);
                Set(link, id, (long)part.ExecuteScalar()!);
                link.ExecuteNonQuery();
            }
        }
    });

    /// <summary>Begins to read a repository, or the whole store: what is not put in again from now on will be removed.</summary>
    public long BeginReading() => Write(connection =>
    {
        var next = (State(connection, "seen") ?? 0) + 1;
        SetState(connection, "seen", next);
        return next;
    });

    /// <summary>Removes the images that were not seen since.</summary>
    /// <param name="name">Of one repository; null for all.</param>
    public void EndReading(RepositoryName? name, long seen) => Write(connection =>
    {
        const string gone = "seen < $seen and ($name is null or name = $name)";
        using var links = Command(
            connection, $"delete from image_part where image in (select id from image where {gone})",
            ("$seen", seen), ("$name", name?.ToString() ?? (object)DBNull.Value));
        links.ExecuteNonQuery();
        links.CommandText = $"delete from image where {gone}";
        links.ExecuteNonQuery();
    });

    /// <summary>The whole store has been read.</summary>
    public void SetBuilt(DateTimeOffset now) => Write(connection =>
    {
        using var unused = Command(connection, "delete from part where not exists(select 1 from image_part x where x.part = part.id)");
        unused.ExecuteNonQuery();
        SetState(connection, "built", now.ToUnixTimeSeconds());
    });

    /// <summary>Adds pulls.</summary>
    public void Add(IReadOnlyList<(RepositoryName Name, Reference Reference, long Pulls, DateTimeOffset Last)> pulls) => Write(connection =>
    {
        using var command = Command(
            connection,
            """
            insert into pulled values($name, $reference, $pulls, $last) on conflict(name, reference)
            do update set pulls = pulls + excluded.pulls, last = max(last, excluded.last)
            """,
            ("$name", ""), ("$reference", ""), ("$pulls", 0L), ("$last", 0L));
        foreach (var (name, reference, count, last) in pulls)
        {
            Set(command, name.ToString(), reference.ToString(), count, last.ToUnixTimeMilliseconds());
            command.ExecuteNonQuery();
        }
    });

    public void Dispose() => _file.Dispose();

    private void Write(Action<SqliteConnection> work) => _file.Write(connection =>
    {
        work(connection);
        return true;
    });

    private T Write<T>(Func<SqliteConnection, T> work) => _file.Write(work);

    private T Read<T>(Func<SqliteConnection, T> work) => _file.Read(work);

    private static List<Digest> Named(string names, char kind) =>
        [.. names.Split(' ', StringSplitOptions.RemoveEmptyEntries).Where(name => name[0] == kind).Select(name => Digest.Parse(name[1..]))];

    private static long? State(SqliteConnection connection, string key)
    {
        using var command = Command(connection, "select value from state where key = $key", ("$key", key));
        return command.ExecuteScalar() is { } value ? Convert.ToInt64(value, CultureInfo.InvariantCulture) : null;
    }

    private static void SetState(SqliteConnection connection, string key, long value)
    {
        using var command = Command(connection, "insert or replace into state values($key, $value)", ("$key", key), ("$value", value));
        command.ExecuteNonQuery();
    }

    private static string Escaped(string text) => text
        .Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace("%", "\\%", StringComparison.Ordinal)
        .Replace("_", "\\_", StringComparison.Ordinal);
}
