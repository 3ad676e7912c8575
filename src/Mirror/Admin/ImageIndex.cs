using System.Globalization;
using Microsoft.Data.Sqlite;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using static Mirror.Admin.SqliteFile;

namespace Mirror.Admin;

/// <summary>
/// An index of the images in a file of SQLite: it can be built again from the store at any time, and no decision relies on it. Only what it
/// knows of uses and of former tags is nowhere else. Any method may be called from any thread.
/// </summary>
public sealed partial class ImageIndex(string file) : IDisposable
{
    private const string Columns = """
        i.name, i.tag, i.digest, i.platforms, i.whole, i.bytes,
        (select coalesce(sum(p.bytes), 0) from image_part x join part p on p.id = x.part where x.image = i.id
            and exists(select 1 from image_part y where y.part = x.part and y.image <> i.id)),
        i.last, i.pulls, i.id
        """;

    private const int MaxNotes = 2_000_000;

    private readonly SqliteFile _file = new(file, ImageIndexSchema.Create, ImageIndexSchema.Version, ImageIndexSchema.Drop);

    /// <summary>When the whole store was last read into the index; null where that has not happened yet.</summary>
    public DateTimeOffset? Built => Read(connection => State(connection, "built")) is { } seconds
        ? DateTimeOffset.FromUnixTimeSeconds(seconds)
        : null;

    /// <summary>A page of images in the order of their names and tags.</summary>
    /// <param name="search">A part of <c>name:tag</c>; null for all.</param>
    /// <param name="after">The last image of the page before.</param>
    public IReadOnlyList<ListedImage> Page(string? search, (string Name, string Tag)? after, int count) => Select(
        "(i.name, i.tag) > ($name, $tag) and ($search is null or i.name || ':' || i.tag like $search escape '\\') "
        + "order by i.name, i.tag limit $count",
        ("$name", after?.Name ?? ""), ("$tag", after?.Tag ?? ""), ("$count", count), ("$search", SearchPattern.Of(search)));

    /// <summary>A page of images in another order, the largest value first.</summary>
    /// <param name="search">As for the other order.</param>
    /// <param name="after">The value and the <see cref="ListedImage.Id"/> of the last image of the page before.</param>
    public IReadOnlyList<ListedImage> Page(ImageOrder order, string? search, (long Value, long Id)? after, int count)
    {
        var column = order switch { ImageOrder.Size => "bytes", ImageOrder.Pulls => "pulls", _ => "last" };
        // A search looks at every image, and the order of the table is faster for that than the order of an index. A plus hides the index.
        var inner = search is null ? column : $"+{column}";
        return Select(
            $"i.id in (select id from image where ({inner}, id) < ($value, $id) and "
            + $"($search is null or name || ':' || tag like $search escape '\\') order by {inner} desc, id desc limit $count) "
            + $"order by +i.{column} desc, i.id desc",
            ("$value", after?.Value ?? long.MaxValue), ("$id", after?.Id ?? long.MaxValue), ("$count", count),
            ("$search", SearchPattern.Of(search)));
    }

    /// <summary>An image; null where the index does not have it.</summary>
    public ListedImage? Find(RepositoryName name, string tag) =>
        Select("i.name = $name and i.tag = $tag", ("$name", name.ToString()), ("$tag", tag)) is [var image] ? image : null;

    /// <summary>In how many images each of these parts is; parts that the index does not have are left out.</summary>
    public IReadOnlyDictionary<Digest, int> UsesOf(IEnumerable<Digest> parts) => Read(connection =>
    {
        using var command = Command(
            connection, "select count(*) from part p join image_part x on x.part = p.id where p.digest = $digest", ("$digest", ""));
        Dictionary<Digest, int> uses = [];
        foreach (var part in parts)
        {
            Set(command, part.ToString());
            if (Convert.ToInt32(command.ExecuteScalar(), CultureInfo.InvariantCulture) is > 0 and var count)
                uses[part] = count;
        }
        return uses;
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
                notes[digest] = NotedManifest.Parse(names);
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
            Set(command, digest.ToString(), names.ToText());
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
            insert into image(name, tag, digest, platforms, whole, bytes, last, pulls, seen)
            values($name, $tag, $digest, $platforms, $whole, $bytes,
                coalesce((select max(last) from pulled where name = $name and reference in ($tag, $digest)), 0),
                coalesce((select sum(pulls) from pulled where name = $name and reference in ($tag, $digest)), 0), $seen)
            on conflict(name, tag) do update set digest = excluded.digest, platforms = excluded.platforms, whole = excluded.whole,
                bytes = excluded.bytes, last = excluded.last, pulls = excluded.pulls, seen = excluded.seen
            returning id
            """,
            ("$name", ""), ("$tag", ""), ("$digest", ""), ("$platforms", ""), ("$whole", 0L), ("$bytes", 0L),
            ("$seen", seen));
        using var part = Command(
            connection, "insert into part(digest, bytes) values($digest, $bytes) on conflict(digest) do update set bytes = excluded.bytes "
                + "returning id",
            ("$digest", ""), ("$bytes", 0L));
        using var link = Command(connection, "insert or ignore into image_part values($image, $part)", ("$image", 0L), ("$part", 0L));
        using var unlink = Command(connection, "delete from image_part where image = $image", ("$image", 0L));
        foreach (var each in images)
        {
            var platforms = string.Join(',', each.Platforms);
            Set(image, each.Name.ToString(), each.Tag, each.Digest.ToString(), platforms, each.IsWhole ? 1L : 0L, each.Parts.Values.Sum(),
                seen);
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
        using var images = Command(
            connection,
            "update image set pulls = pulls + $pulls, last = max(last, $last) where name = $name and $reference in (tag, digest)",
            ("$name", ""), ("$reference", ""), ("$pulls", 0L), ("$last", 0L));
        foreach (var (name, reference, count, last) in pulls)
        {
            Set(command, name.ToString(), reference.ToString(), count, last.ToUnixTimeMilliseconds());
            command.ExecuteNonQuery();
            Set(images, name.ToString(), reference.ToString(), count, last.ToUnixTimeMilliseconds());
            images.ExecuteNonQuery();
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

    private List<ListedImage> Select(string where, params (string Name, object Value)[] parameters) => Read(connection =>
    {
        using var command = Command(connection, $"select {Columns} from image i where {where}", parameters);
        using var rows = command.ExecuteReader();
        List<ListedImage> page = [];
        while (rows.Read())
            page.Add(new(
                RepositoryName.Parse(rows.GetString(0)), rows.GetString(1), Digest.Parse(rows.GetString(2)),
                rows.GetString(3).Split(',', StringSplitOptions.RemoveEmptyEntries), rows.GetInt64(5), rows.GetInt64(6),
                rows.GetInt64(4) != 0, rows.GetInt64(7) is > 0 and var last ? DateTimeOffset.FromUnixTimeMilliseconds(last) : null,
                rows.GetInt64(8), rows.GetInt64(9)));
        return page;
    });
}
