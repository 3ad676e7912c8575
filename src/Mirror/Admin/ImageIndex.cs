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
/// <param name="requireFolder">Throws if the store, which has the file, is away.</param>
public sealed partial class ImageIndex(string file, Action? requireFolder = null) : IDisposable
{
    private const int MaxNotes = 2_000_000;

    // An image as ImageName writes it. A digest has a colon, a tag has none.
    private const string Text = "name || iif(instr(reference, ':'), '@', ':') || reference";

    private readonly SqliteFile _file = new(file, ImageIndexSchema.Create, ImageIndexSchema.Version, ImageIndexSchema.Drop, requireFolder);

    /// <summary>True for the exceptions of an index that cannot be used: its disk fails, or the file has what this server never
    /// wrote.</summary>
    internal static bool IsFailure(Exception failure) =>
        failure is SqliteException or InvalidOperationException or InvalidCastException or FormatException or ArgumentException
            or OverflowException || failure.IsStoreFailure;

    /// <summary>When the whole store was last read into the index; null where that has not happened yet.</summary>
    public DateTimeOffset? Built => Read(connection => State(connection, "built")) is { } seconds
        ? DateTimeOffset.FromUnixTimeSeconds(seconds)
        : null;

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

    /// <summary>Some of the images that a part belongs to, as <see cref="ImageName"/> writes them.</summary>
    public IReadOnlyList<string> ImagesWith(Digest part, int most) => Read(connection =>
    {
        using var command = Command(
            connection,
            $"select {Text} from image where id in "
            + "(select x.image from part p join image_part x on x.part = p.id where p.digest = $digest) order by 1 limit $most",
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
            connection, "select reference from image where name = $name and digest = $digest and reference <> digest order by 1",
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
            select * from (
                select name, case when reference like '%:%' then reference else (select digest from tagged
                    where tagged.name = pulled.name and tag = reference order by since desc limit 1) end as digest, last from pulled)
            where digest is not null
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

    /// <summary>
    /// What all images together are. In a bucket the sizes are what manifests claim, so their sum may be larger than a 64-bit number.
    /// </summary>
    public ImageTotals Totals() => Read(connection =>
    {
        using var command = Command(connection, """
            select (select count(distinct name) from image), (select count(*) from image), count(*), cast(total(bytes) as integer),
                cast(total(case when images > 1 then bytes end) as integer)
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
            insert into image(name, reference, digest, platforms, whole, bytes, last, pulls, seen)
            values($name, $reference, $digest, $platforms, $whole, $bytes,
                coalesce((select max(last) from pulled where name = $name and reference in ($reference, $digest)), 0),
                coalesce((select sum(pulls) from pulled where name = $name and reference in ($reference, $digest)), 0), $seen)
            on conflict(name, reference) do update set digest = excluded.digest, platforms = excluded.platforms, whole = excluded.whole,
                bytes = excluded.bytes, last = excluded.last, pulls = excluded.pulls, seen = excluded.seen
            returning id
            """,
            ("$name", ""), ("$reference", ""), ("$digest", ""), ("$platforms", ""), ("$whole", 0L), ("$bytes", 0L),
            ("$seen", seen));
        using var had = Command(
            connection, "select p.digest, p.bytes, p.id from image_part x join part p on p.id = x.part where x.image = $image",
            ("$image", 0L));
        using var part = Command(
            connection, "insert into part(digest, bytes) values($digest, $bytes) on conflict(digest) do update set bytes = excluded.bytes "
                + "returning id",
            ("$digest", ""), ("$bytes", 0L));
        using var link = Command(connection, "insert or ignore into image_part values($image, $part)", ("$image", 0L), ("$part", 0L));
        using var unlink = Command(
            connection, "delete from image_part where image = $image and part = $part", ("$image", 0L), ("$part", 0L));
        foreach (var each in images)
        {
            var platforms = string.Join(',', each.Platforms);
            Set(image, each.Name.ToString(), each.Reference.ToString(), each.Digest.ToString(), platforms, each.IsWhole ? 1L : 0L,
                each.Parts.Values.Total(), seen);
            var id = (long)image.ExecuteScalar()!;
            // Most images have the parts that they had.
            Dictionary<Digest, (long Bytes, long Id)> before = [];
            Set(had, id);
            using (var rows = had.ExecuteReader())
                while (rows.Read())
                    before[Digest.Parse(rows.GetString(0))] = (rows.GetInt64(1), rows.GetInt64(2));
            foreach (var gone in before.Where(known => !each.Parts.ContainsKey(known.Key)))
            {
                Set(unlink, id, gone.Value.Id);
                unlink.ExecuteNonQuery();
            }
            foreach (var (digest, bytes) in each.Parts)
                if (!before.TryGetValue(digest, out var known) || known.Bytes != bytes)
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
        using var unused = Command(connection, "delete from part where images = 0");
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
            "update image set pulls = pulls + $pulls, last = max(last, $last) where name = $name and $reference in (reference, digest)",
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
}
