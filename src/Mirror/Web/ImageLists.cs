using System.Buffers.Text;
using System.Globalization;
using Mirror.Access;
using Mirror.Admin;
using Mirror.Fleet;
using Mirror.PullThrough;
using Mirror.Registry;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Web;

/// <summary>The pages of the list of images, in each of its orders.</summary>
internal sealed class ImageLists(
    ImageIndex index, ImageIndexing indexing, RepositoryResolver repositories, IPinStore pins, HeldTags held, TagFreshness freshness,
    UpstreamSelector upstreams, TokenSecret secret)
{
    private const int PageSize = 50;
    // A page looks at so many images at most. If the viewer may see few of them, the page is short, and still has a link to the next page.
    private const int MaxLooked = 5_000;
    // The rights on 50 images may cost a request to the token server.
    private const int MaxLookedWithTokens = 500;
    private const int MaxSearch = 200;
    private static readonly TimeSpan MaxWait = TimeSpan.FromMilliseconds(50);

    private static readonly Dictionary<string, ImageOrder> Orders = new()
    {
        ["platforms"] = ImageOrder.Platforms,
        ["size"] = ImageOrder.Size,
        ["shared"] = ImageOrder.Shared,
        ["used"] = ImageOrder.LastUsed,
        ["pulls"] = ImageOrder.Pulls,
    };

    private SealedText? _places;

    /// <summary>One page of the images that a viewer may see.</summary>
    /// <param name="search">A part of a name or tag; empty for all.</param>
    /// <param name="sort">One of the orders of <c>ImagesPage</c>; for any other word, names.</param>
    /// <param name="after"><c>Next</c> of the page before; empty for the first page.</param>
    /// <exception cref="RegistryException"><paramref name="after"/> is not the <c>Next</c> of a page of this list.</exception>
    public async ValueTask<ImagesModel> PageAsync(Viewer viewer, string search, string sort, string after, CancellationToken stop)
    {
        search = search.Trim();
        if (search.Length > MaxSearch)
            search = search[..MaxSearch];
        var isComplete = await indexing.CatchUpForAnswerAsync(MaxWait, stop);
        var list = sort == "state" ? await ByStateAsync(stop)
            : Orders.TryGetValue(sort, out var order) ? By(order)
            : ByName();
        // With a search, or in the order of states, the index reads all images for each part. The rights on the images of a part may cost
        // requests to the token server.
        var part = viewer.SeesAll || viewer.Rights is not null ? PageSize : 10 * PageSize;
        var most = viewer.Rights is null ? MaxLooked : MaxLookedWithTokens;
        List<ImageLine> lines = [];
        var places = _places ??= new(await secret.DeriveAsync("places in the lists of the pages", stop));
        var last = after.Length > 0 ? PlaceIn(list, after) : null;
        var looked = 0;
        var isOver = false;
        while (lines.Count < PageSize && looked < most && !isOver)
        {
            var from = last;
            var images = await Task.Run(() => list.Read(search.Length > 0 ? search : null, from, part), stop);
            isOver = images.Count < part;
            await viewer.PrepareAsync(images.Select(image => image.Name), stop);
            foreach (var image in images)
            {
                if (lines.Count == PageSize)
                {
                    isOver = false;
                    break;
                }
                (last, looked) = (list.PlaceOf(image), looked + 1);
                if (await viewer.MaySeeAsync(image.Name, stop))
                    lines.Add(new(
                        image, repositories.IsMirrored(image.Name),
                        image.Tag is { } tag && await pins.IsPinnedAsync(image.Name, tag, stop),
                        image.Tag is null ? null : StatesIn(image.Name)(image.Tag)));
            }
        }
        // The place may be that of an image which the viewer may not see.
        var next = isOver || last is null ? null : Base64Url.EncodeToString(places.Seal(list.Name, last));
        return new(search, list.Name, lines, isComplete, after.Length == 0, next);

        string PlaceIn(Order order, string sealedPlace) =>
            Base64Url.IsValid(sealedPlace) && places.TryOpen(order.Name, Base64Url.DecodeFromChars(sealedPlace), out var place) ? place
                : throw NoPlace();
    }

    private Order ByName() => new(
        "name",
        (search, after, count) => index.Page(
            search, after is null ? null : ImageIndex.PlaceOf(after) ?? throw NoPlace(), count),
        image => image.Text);

    private Order By(ImageOrder order) => new(
        Orders.First(known => known.Value == order).Key,
        (search, after, count) =>
        {
            var place = Split(after);
            if (order is not ImageOrder.Platforms && place is var (value, _))
                _ = Number(value) ?? throw NoPlace();
            return index.Page(order, search, place, count);
        },
        image => string.Create(CultureInfo.InvariantCulture, $"{ImageIndex.ValueOf(order, image)}.{image.Id}"));

    private async ValueTask<Order> ByStateAsync(CancellationToken stop)
    {
        var pinned = await pins.ListAsync(stop).ToHashSetAsync(cancellationToken: stop);
        return new(
            "state",
            (search, after, count) => index.Page(
                RankIn, search, Split(after) is var (value, id) ? ((int)(Number(value) ?? throw NoPlace()), id) : null, count),
            image => string.Create(
                CultureInfo.InvariantCulture, $"{RankIn(image.Name)(image.Reference.ToString(), image.IsWhole)}.{image.Id}"));

        // The higher the number, the earlier the image: first tags that differ from upstream's, then tags that may, then pinned, incomplete
        // and hosted images.
        Func<string, bool, int> RankIn(RepositoryName name)
        {
            var (stateOf, isHosted) = (StatesIn(name), repositories.IsMirrored(name) ? 0 : 1);
            return (reference, isWhole) =>
            {
                var isTag = Reference.IsTagName(reference);
                var state = !isTag ? 0 : stateOf(reference) switch { "cooling down" => 24, "kept" => 16, "stale" => 8, _ => 0 };
                return state + (isTag && pinned.Contains((name, reference)) ? 4 : 0) + (isWhole ? 0 : 2) + isHosted;
            };
        }
    }

    // For the tags of a repository, the state that the page shows: kept, cooling down or stale; null for none of these.
    private Func<string, string?> StatesIn(RepositoryName name)
    {
        var isUnavailable = repositories.IsMirrored(name) && upstreams.Find(name) is { } mirror
            && mirror.Upstream.State.Troubles.Unavailable.Count > 0;
        return tag => held.Find(name, tag) is not null ? held.MovesTo(name, tag) is null ? "kept" : "cooling down"
            : isUnavailable && freshness.FindFresh(name, tag) is null ? "stale"
            : null;
    }

    private static (string Value, long Id)? Split(string? place) =>
        place is null ? null
        : place.LastIndexOf('.') is >= 0 and var dot && Number(place[(dot + 1)..]) is { } id ? (place[..dot], id)
        : throw NoPlace();

    private static long? Number(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static RegistryException NoPlace() => new(RegistryError.NameInvalid, "'after' is not from a page of this list");

    /// <param name="Read">Reads a part of the list. Its parameters: the text of the search, the place to begin after, the number of
    /// images.</param>
    private sealed record Order(
        string Name, Func<string?, string?, int, IReadOnlyList<ListedImage>> Read, Func<ListedImage, string> PlaceOf);
}
