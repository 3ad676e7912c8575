using Mirror.Storage;
using static Mirror.Admin.SqliteFile;

namespace Mirror.Admin;

/// <summary>What a tag has named here, from a time on.</summary>
public sealed record TaggedSince(Digest Digest, DateTimeOffset Since);

/// <summary>A client that pulled an image.</summary>
/// <param name="Client">The user's name; of a client without a login the address.</param>
/// <param name="Last">When it last pulled the image.</param>
public sealed record Puller(string Client, DateTimeOffset Last);

/// <content>What tags named before, and who pulled. It is lost with the file.</content>
public sealed partial class ImageIndex
{
    /// <summary>How many digests are kept of a tag, and how many clients of a reference.</summary>
    private const int MaxHistory = 20;

    private static readonly TimeSpan HistoryLife = TimeSpan.FromDays(30);

    /// <summary>Notes what tags name since a time. What is known already changes nothing.</summary>
    public void NoteTags(IEnumerable<(RepositoryName Name, string Tag, Digest Digest, DateTimeOffset Since)> tags) => Write(connection =>
    {
        using var command = Command(
            connection,
            """
            insert into tagged(name, tag, since, digest) select $name, $tag, $since, $digest
            where coalesce((select digest from tagged where name = $name and tag = $tag order by since desc limit 1), '') <> $digest
            on conflict do update set digest = excluded.digest
            """,
            ("$name", ""), ("$tag", ""), ("$since", 0L), ("$digest", ""));
        using var old = Command(
            connection,
            "delete from tagged where name = $name and tag = $tag and since not in "
            + "(select since from tagged where name = $name and tag = $tag order by since desc limit $most)",
            ("$name", ""), ("$tag", ""), ("$most", MaxHistory));
        foreach (var (name, tag, digest, since) in tags)
        {
            Set(command, name.ToString(), tag, since.ToUnixTimeMilliseconds(), digest.ToString());
            if (command.ExecuteNonQuery() == 0)
                continue;
            Set(old, name.ToString(), tag);
            old.ExecuteNonQuery();
        }
    });

    /// <summary>Notes clients that pulled.</summary>
    public void NotePullers(IEnumerable<(RepositoryName Name, Reference Reference, string Client, DateTimeOffset Last)> pullers) =>
        Write(connection =>
        {
            using var command = Command(
                connection,
                "insert into puller values($name, $reference, $client, $last) on conflict do update set last = max(last, excluded.last)",
                ("$name", ""), ("$reference", ""), ("$client", ""), ("$last", 0L));
            using var old = Command(
                connection,
                "delete from puller where name = $name and reference = $reference and client not in "
                + "(select client from puller where name = $name and reference = $reference order by last desc limit $most)",
                ("$name", ""), ("$reference", ""), ("$most", MaxHistory));
            foreach (var (name, reference, client, last) in pullers)
            {
                Set(command, name.ToString(), reference.ToString(), client, last.ToUnixTimeMilliseconds());
                command.ExecuteNonQuery();
                Set(old, name.ToString(), reference.ToString());
                old.ExecuteNonQuery();
            }
        });

    /// <summary>
    /// Forgets the clients that have not pulled for 30 days, the digests that a deleted tag began to name more than 30 days ago, and the
    /// pulls by a tag that is gone, if the last one was more than 30 days ago. Pulls by digest may be of a part of an image, so these stay
    /// while the repository has an image.
    /// </summary>
    public void ForgetHistory(DateTimeOffset now) => Write(connection =>
    {
        using var command = Command(
            connection,
            """
            delete from puller where last < $oldest;
            delete from tagged where since < $oldest
                and not exists(select 1 from image i where i.name = tagged.name and i.reference = tagged.tag);
            delete from pulled where last < $oldest and not exists(
                select 1 from image i where i.name = pulled.name and (i.reference = pulled.reference or pulled.reference like '%:%'))
            """,
            ("$oldest", (now - HistoryLife).ToUnixTimeMilliseconds()));
        command.ExecuteNonQuery();
    });

    /// <summary>What a tag has named, the newest first.</summary>
    public IReadOnlyList<TaggedSince> HistoryOf(RepositoryName name, string tag) => Read(connection =>
    {
        using var command = Command(
            connection, "select digest, since from tagged where name = $name and tag = $tag order by since desc",
            ("$name", name.ToString()), ("$tag", tag));
        using var rows = command.ExecuteReader();
        List<TaggedSince> history = [];
        while (rows.Read())
            history.Add(new(Digest.Parse(rows.GetString(0)), DateTimeOffset.FromUnixTimeMilliseconds(rows.GetInt64(1))));
        return history;
    });

    /// <summary>How often clients pulled manifests by their digests, and when they last did; manifests without a pull are left
    /// out.</summary>
    public IReadOnlyDictionary<Digest, (long Pulls, DateTimeOffset Last)> PullsByDigest(
        RepositoryName name, IEnumerable<Digest> manifests) =>
        Read(connection =>
        {
            using var command = Command(
                connection, "select pulls, last from pulled where name = $name and reference = $reference",
                ("$name", name.ToString()), ("$reference", ""));
            Dictionary<Digest, (long, DateTimeOffset)> pulls = [];
            foreach (var manifest in manifests)
            {
                command.Parameters["$reference"].Value = manifest.ToString();
                using var row = command.ExecuteReader();
                if (row.Read())
                    pulls[manifest] = (row.GetInt64(0), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(1)));
            }
            return pulls;
        });

    /// <summary>The last clients that pulled an image by its tag, or by its digest; the newest first.</summary>
    public IReadOnlyList<Puller> PullersOf(RepositoryName name, Reference reference) => Read(connection =>
    {
        using var command = Command(
            connection,
            """
            select client, max(last) from puller where name = $name
                and reference in ($reference, (select digest from image where name = $name and reference = $reference))
            group by client order by 2 desc limit $most
            """,
            ("$name", name.ToString()), ("$reference", reference.ToString()), ("$most", MaxHistory));
        using var rows = command.ExecuteReader();
        List<Puller> pullers = [];
        while (rows.Read())
            pullers.Add(new(rows.GetString(0), DateTimeOffset.FromUnixTimeMilliseconds(rows.GetInt64(1))));
        return pullers;
    });
}
