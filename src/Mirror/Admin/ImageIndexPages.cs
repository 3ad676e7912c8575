using System.Globalization;
using Mirror.Storage;
using static Mirror.Admin.SqliteFile;

namespace Mirror.Admin;

/// <content>Lists of images, a page at a time.</content>
public sealed partial class ImageIndex
{
    private const string Columns = "i.name, i.reference, i.digest, i.platforms, i.whole, i.bytes, i.shared, i.last, i.pulls, i.id";

    /// <summary>A page of images in the order of their names, then of their tags and digests.</summary>
    /// <param name="search">A part of <see cref="ListedImage.Text"/>; null for all.</param>
    /// <param name="after">The last image of the page before.</param>
    public IReadOnlyList<ListedImage> Page(string? search, (string Name, string Reference)? after, int count) => Select(
        $"(i.name, i.reference) > ($name, $reference) and ($search is null or {Text} like $search escape '\\') "
        + "order by i.name, i.reference limit $count",
        ("$name", after?.Name ?? ""), ("$reference", after?.Reference ?? ""), ("$count", count), ("$search", SearchPattern.Of(search)));

    /// <summary>The name and the tag or digest in a <see cref="ListedImage.Text"/>; null where the text is no such.</summary>
    public static (string Name, string Reference)? PlaceOf(string text) =>
        (text.Contains('@') ? text.IndexOf('@') : text.LastIndexOf(':')) is > 0 and var end ? (text[..end], text[(end + 1)..]) : null;

    /// <summary>A page of images in another order.</summary>
    /// <param name="search">As for the order of names.</param>
    /// <param name="after">The value and the <see cref="ListedImage.Id"/> of the last image of the page before.</param>
    public IReadOnlyList<ListedImage> Page(ImageOrder order, string? search, (string Value, long Id)? after, int count)
    {
        var (column, isAscending) = order switch
        {
            ImageOrder.Platforms => ("platforms", true),
            ImageOrder.Size => ("bytes", false),
            ImageOrder.Shared => ("shared", false),
            ImageOrder.Pulls => ("pulls", false),
            _ => ("last", false),
        };
        var (than, way) = isAscending ? (">", "asc") : ("<", "desc");
        // A search looks at every image, and the order of the table is faster for that than the order of an index. A plus hides the index.
        var inner = search is null ? column : $"+{column}";
        object value = after is not var (text, _) ? isAscending ? "" : long.MaxValue
            : isAscending ? text
            : long.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);
        return Select(
            $"i.id in (select id from image where ({inner}, id) {than} ($value, $id) and "
            + $"($search is null or {Text} like $search escape '\\') order by {inner} {way}, id {way} limit $count) "
            + $"order by +i.{column} {way}, i.id {way}",
            ("$value", value), ("$id", after?.Id ?? (isAscending ? 0 : long.MaxValue)), ("$count", count),
            ("$search", SearchPattern.Of(search)));
    }

    /// <summary>The value of an image in an order, for the next page.</summary>
    public static string ValueOf(ImageOrder order, ListedImage image) => order switch
    {
        ImageOrder.Platforms => string.Join(',', image.Platforms),
        ImageOrder.Size => Number(image.Bytes),
        ImageOrder.Shared => Number(image.SharedBytes),
        ImageOrder.Pulls => Number(image.Pulls),
        _ => Number(image.LastUsed?.ToUnixTimeMilliseconds() ?? 0),
    };

    /// <summary>
    /// A page of images in the order of a number that the index does not have, the largest first. It looks at every image.
    /// </summary>
    /// <param name="rankIn">For a repository, the number of an image by its tag or digest, and by whether it is whole.</param>
    /// <inheritdoc cref="Page(ImageOrder, string, ValueTuple{string, long}?, int)"/>
    public IReadOnlyList<ListedImage> Page(
        Func<RepositoryName, Func<string, bool, int>> rankIn, string? search, (int Rank, long Id)? after, int count)
    {
        var first = after ?? (int.MaxValue, long.MaxValue);
        var best = new PriorityQueue<long, (int Rank, long Id)>();
        Read(connection =>
        {
            using var command = Command(
                connection, $"select id, name, reference, whole from image where $search is null or {Text} like $search escape '\\'",
                ("$search", SearchPattern.Of(search)));
            using var rows = command.ExecuteReader();
            var (name, rank) = ("", default(Func<string, bool, int>)!);
            while (rows.Read())
            {
                // The tags of a repository mostly stand together.
                if (rows.GetString(1) is var next && next != name)
                    (name, rank) = (next, rankIn(RepositoryName.Parse(next)));
                var id = rows.GetInt64(0);
                var place = (rank(rows.GetString(2), rows.GetInt64(3) != 0), id);
                if (place.CompareTo(first) < 0)
                    best.Enqueue(id, place);
                if (best.Count > count)
                    best.Dequeue();
            }
            return true;
        });
        var places = best.UnorderedItems.ToDictionary(item => item.Element, item => item.Priority);
        return
        [
            .. Select($"i.id in ({string.Join(',', places.Keys.Select(id => Number(id)))})").OrderByDescending(image => places[image.Id]),
        ];
    }

    /// <summary>An image; null where the index does not have it.</summary>
    public ListedImage? Find(RepositoryName name, Reference reference) =>
        Select("i.name = $name and i.reference = $reference", ("$name", name.ToString()), ("$reference", reference.ToString()))
            is [var image] ? image : null;

    /// <summary>The stored bytes of the images of each repository. What several repositories have counts for the first of them.</summary>
    public IReadOnlyList<(RepositoryName Name, long Bytes)> BytesByName() => Read(connection =>
    {
        using var command = Command(connection, """
            select i.name, cast(total(p.bytes) as integer) from part p
            join image i on i.id = (select min(x.image) from image_part x where x.part = p.id) group by i.name
            """);
        using var rows = command.ExecuteReader();
        List<(RepositoryName, long)> bytes = [];
        while (rows.Read())
            bytes.Add((RepositoryName.Parse(rows.GetString(0)), rows.GetInt64(1)));
        return bytes;
    });

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    private List<ListedImage> Select(string where, params (string Name, object Value)[] parameters) => Read(connection =>
    {
        using var command = Command(connection, $"select {Columns} from image i where {where}", parameters);
        using var rows = command.ExecuteReader();
        List<ListedImage> page = [];
        while (rows.Read())
            page.Add(new(
                RepositoryName.Parse(rows.GetString(0)), Reference.Parse(rows.GetString(1)), Digest.Parse(rows.GetString(2)),
                rows.GetString(3).Split(',', StringSplitOptions.RemoveEmptyEntries), rows.GetInt64(5), rows.GetInt64(6),
                rows.GetInt64(4) != 0, rows.GetInt64(7) is > 0 and var last ? DateTimeOffset.FromUnixTimeMilliseconds(last) : null,
                rows.GetInt64(8), rows.GetInt64(9)));
        return page;
    });
}
