using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Registry;
using Mirror.Storage;
using Mirror.Storage.GarbageCollection;
using Mirror.Storage.Stores;

namespace Mirror.Admin;

/// <summary>Reads the configuration again; set by what starts the server.</summary>
/// <param name="Run">Returns the mistakes that prevented it; none where the settings are in force.</param>
public sealed record Reload(Func<IReadOnlyList<string>> Run);

/// <summary>The routes of the API of the administrator, below <c>/mirror/v1</c>.</summary>
internal static partial class AdminRoutes
{
    private const int MaxPage = 1000;
    private const string Lines = "application/x-ndjson";

    // The first byte of a list comes within 200 ms, also while much has changed.
    private static readonly TimeSpan MaxWait = TimeSpan.FromMilliseconds(100);

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/images", ImagesAsync).WithName("listImages").WithSummary("The stored images, by name, tag and digest, in pages.");
        routes.MapGet("/images/history", HistoryAsync).WithName("imageHistory")
            .WithSummary("What a tag has named, and the last clients that pulled the image.");
        routes.MapGet("/usage", UsageAsync).WithName("usage").WithSummary("What the store holds.");
        routes.MapPost("/purge", PurgeAsync).WithName("purge")
            .WithSummary("Removes an image, or all of a repository, that came from upstream. Pushed content is kept.");
        routes.MapGet("/why", WhyAsync).WithName("why").WithSummary("What the last requests for an image did, and why upstream was asked.");
        routes.MapGet("/eviction", EvictionAsync).WithName("planEviction")
            .WithSummary("The images that an eviction would remove, and in which order.");
        routes.MapPost("/pin", PinAsync).WithName("pin").WithSummary("Keeps an image: no eviction and no purge removes it.");
        routes.MapPost("/unpin", UnpinAsync).WithName("unpin").WithSummary("Takes a pin away.");
        routes.MapPost("/release", ReleaseAsync).WithName("release")
            .WithSummary("Lets tags move to a manifest at once, which a policy's cooldown holds back.");
        routes.MapPost("/warm", WarmAsync).WithName("warm").Produces<WarmProgress>(StatusCodes.Status200OK, Lines)
            .WithSummary("Fetches images before clients ask for them. The answer has one line of JSON for each step.");
        routes.MapGet("/clients", Clients).WithName("clients").WithSummary("Which clients came in the last day, and by which name.");
        routes.MapPost("/reload", ReloadSettings).WithName("reload").WithSummary("Reads the configuration file again.");
    }

    private static async Task<Ok<ImagePage>> ImagesAsync(
        HttpContext http, ImageIndex index, ImageIndexing indexing, RepositoryResolver repositories, IPinStore pinStore,
        CachePolicies policies, HttpOptions options, CancellationToken aborted, string? search = null, int n = 50, string? last = null)
    {
        if (n is < 1 or > MaxPage)
            throw new RegistryException(RegistryError.PaginationNumberInvalid, $"'n' is a whole number from 1 to {MaxPage}");
        var caller = Caller(http);
        var isComplete = await indexing.CatchUpForAnswerAsync(MaxWait, aborted);
        var pins = await pinStore.ListAsync(aborted).ToHashSetAsync(cancellationToken: aborted);
        List<ImageRow> rows = [];
        (string, string)? place = last is null ? null : ImageIndex.PlaceOf(last) ?? throw new RegistryException(
            RegistryError.NameInvalid, "'last' is name:tag or name@digest of the last image of the page before");
        ListedImage? after = null;
        while (true)
        {
            var page = await Task.Run(
                () => index.Page(search, after is null ? place : (after.Name.ToString(), after.Reference.ToString()), n + 1), aborted);
            foreach (var image in page)
            {
                if (rows.Count == n)
                    return TypedResults.Ok(new ImagePage(rows, isComplete, Next(options, search, n, after!)));
                after = image;
                if (await caller.MayAsync(image.Name, aborted))
                    rows.Add(Row(
                        image, repositories,
                        image.Tag is { } tag && pins.Contains((image.Name, tag)) || policies.Of(image.Name).IsPinned));
            }
            if (page.Count <= n)
                return TypedResults.Ok(new ImagePage(rows, isComplete, null));
        }
    }

    private static async Task<Ok<ImageHistory>> HistoryAsync(
        HttpContext http, ImageIndex index, ImageIndexing indexing, RepositoryResolver repositories, CancellationToken aborted,
        string image = "")
    {
        var (named, tag) = await TagOfAsync(http, image, repositories, aborted);
        await indexing.CatchUpForAnswerAsync(MaxWait, aborted);
        var (tags, pullers) = await Task.Run(
            () => (index.HistoryOf(named.Name, tag), index.PullersOf(named.Name, named.Reference!.Value)), aborted);
        return TypedResults.Ok(new ImageHistory(
            named.Name.ToString(), tag, [.. tags.Select(each => new TaggedRow(each.Digest.ToString(), each.Since))], pullers));
    }

    private static async Task<Ok<UsageAnswer>> UsageAsync(HttpContext http, StoreUsage usage, CancellationToken aborted)
    {
        Caller(http).RequireServer();
        return TypedResults.Ok(await usage.ReadAsync(MaxWait, aborted));
    }

    private static Ok<ClientsAnswer> Clients(HttpContext http, ClientsSeen seen)
    {
        Caller(http).RequireServer();
        return TypedResults.Ok(new ClientsAnswer(
            [
                .. seen.List().Select(client => new ClientRow(
                    client.Address, client.Program, client.Upstream, client.By.ToString().ToLowerInvariant(), client.First, client.Last,
                    client.Connections)),
            ],
            seen.NotAsked(), seen.IsFull));
    }

    private static async Task<Ok<PurgeAnswer>> PurgeAsync(
        HttpContext http, PurgeRequest request, Purge purge, RepositoryResolver repositories, ILogger<Purge> log, CancellationToken aborted)
    {
        var image = ImageName.Parse(request.Image, repositories);
        await Caller(http).RequireAsync(image.Name, aborted);
        http.Features.Set(request.DryRun ? null : new AdminChange("purge", image));
        // A purge that has begun runs to its end, also if the client disconnects.
        var purged = await purge.RunAsync(image, request.DryRun, CancellationToken.None);
        if (!request.DryRun)
            LogPurged(
                log, Caller(http).User?.Name, request.Image, purged.Tags.Count, purged.Manifests.Count, purged.Blobs.Count, purged.Bytes);
        return TypedResults.Ok(new PurgeAnswer(
            purged.Name.ToString(), request.DryRun, purged.Tags, Texts(purged.Manifests), Texts(purged.Blobs), purged.Bytes, purged.Kept));
    }

    private static async Task<Ok<Explained>> WhyAsync(
        HttpContext http, Explanation explanation, RepositoryResolver repositories, CancellationToken aborted, string image = "")
    {
        var name = ImageName.Parse(image, repositories);
        await Caller(http).RequireAsync(name.Name, aborted);
        return TypedResults.Ok(await explanation.OfAsync(name, aborted));
    }

    private static async Task<Ok<EvictionPlan>> EvictionAsync(
        HttpContext http, Evictor evictor, ImageIndex index, StoreUsage usage, RepositoryResolver repositories, ProxyOptions proxy,
        CancellationToken aborted, long? limit = null)
    {
        const int maxImages = 1000, maxLayers = 20;
        Caller(http).RequireServer();
        // As the server evicts: a tenth of the limit is free afterwards.
        var most = limit ?? proxy.MaxSize - proxy.MaxSize / 10
            ?? throw new RegistryException(new RegistryError("UNSUPPORTED", 400, "proxy.max_size is not set"), "give a limit in bytes")
            {
                Advice = "set proxy.max_size, or give a limit",
            };
        var growth = (await usage.ReadAsync(MaxWait, aborted)).Growth;
        var more = Math.Max(0, growth ?? 0);
        if (await Task.Run(() => evictor.PlanAsync(most - more, repositories.IsMirrored, aborted), aborted) is not { } plan)
            throw new RegistryException(RegistryError.Unavailable, "an eviction is running; try again later");
        var bound = limit ?? proxy.MaxSize!.Value;
        var (now, nextDay) = (CountOf(0), CountOf(more));
        var images = await Task.Run(
            () => plan.Images.Take(Math.Min(nextDay, maxImages)).Select((each, i) => new EvictedImage(
                each.Image.Name?.ToString(), each.Image.Name is { } name ? index.TagsOf(name, each.Image.Root) : [],
                each.Image.Root.ToString(), each.Image.Used, each.Blobs.Sum(blob => blob.Bytes), i >= now,
                [.. each.Blobs.OrderByDescending(blob => blob.Bytes).Take(maxLayers)
                    .Select(blob => new EvictedBlob(blob.Digest.ToString(), blob.Bytes))])).ToList(),
            aborted);
        return TypedResults.Ok(new EvictionPlan(
            plan.BytesStored, bound, BytesOf(plan.Images.Take(now)), now, growth,
            growth is null ? null : new EvictionForecast(nextDay - now, BytesOf(plan.Images.Take(nextDay).Skip(now))), images));

        // How many images are evicted if so many bytes more are stored: none within the limit.
        int CountOf(long added)
        {
            var (left, count) = (plan.BytesStored + added, 0);
            for (; left > most && plan.BytesStored + added > bound && count < plan.Images.Count; count++)
                left -= plan.Images[count].Blobs.Sum(blob => blob.Bytes);
            return count;
        }

        static long BytesOf(IEnumerable<(CachedImage Image, IReadOnlyList<(Digest Digest, long Bytes)> Blobs)> evicted) =>
            evicted.Sum(each => each.Blobs.Sum(blob => blob.Bytes));
    }

    private static async Task<Ok<PinAnswer>> PinAsync(
        HttpContext http, PinRequest request, IPinStore pins, RepositoryResolver repositories, CancellationToken aborted)
    {
        var (image, tag) = await TagOfAsync(http, request.Image, repositories, aborted);
        var was = await pins.IsPinnedAsync(image.Name, tag, aborted);
        await pins.PinAsync(image.Name, tag, aborted);
        http.Features.Set(new AdminChange("pin", image));
        return TypedResults.Ok(new PinAnswer($"{image.Name}:{tag}", Pinned: true, Changed: !was));
    }

    private static async Task<Ok<PinAnswer>> UnpinAsync(
        HttpContext http, PinRequest request, IPinStore pins, RepositoryResolver repositories, CancellationToken aborted)
    {
        var (image, tag) = await TagOfAsync(http, request.Image, repositories, aborted);
        var was = await pins.UnpinAsync(image.Name, tag, aborted);
        http.Features.Set(new AdminChange("unpin", image));
        return TypedResults.Ok(new PinAnswer($"{image.Name}:{tag}", Pinned: false, Changed: was));
    }

    private static async Task<Ok<ReleaseAnswer>> ReleaseAsync(
        HttpContext http, ReleaseRequest request, HeldTags held, RepositoryResolver repositories, CancellationToken aborted)
    {
        var image = ImageName.Parse(request.Image, repositories);
        await Caller(http).RequireAsync(image.Name, aborted);
        if (image.Reference is not { } reference || reference.IsTag(out _, out var digest))
            throw new RegistryException(RegistryError.DigestInvalid, "name the manifest by its digest: NAME@sha256:...");
        await held.ReleaseAsync(image.Name, digest, aborted);
        http.Features.Set(new AdminChange("release", image));
        return TypedResults.Ok(new ReleaseAnswer($"{image.Name}@{digest}"));
    }

    private static async Task WarmAsync(
        HttpContext http, WarmRequest request, Warmer warmer, RepositoryResolver repositories, CancellationToken aborted)
    {
        // JSON may lack the member, or have null in its place.
        if (request.Images is not { } texts)
            throw new RegistryException(
                new RegistryError("UNSUPPORTED", 400, "no images"), "name the images: {\"images\": [\"nginx:1.27\"]}");
        List<(string Text, ImageName Name)> images = [.. texts.Select(text => (text, ImageName.Parse(text, repositories)))];
        foreach (var (_, name) in images)
            await Caller(http).RequireAsync(name.Name, aborted);
        var platforms = request.Platforms is [] ? null : request.Platforms;
        foreach (var wrong in platforms?.Where(platform => !Warmer.IsPlatform(platform)) ?? [])
            throw new RegistryException(
                new RegistryError("UNSUPPORTED", 400, "invalid platform"), $"'{wrong}' is no platform: write OS/ARCHITECTURE, or all");
        http.Response.ContentType = Lines;
        foreach (var (text, name) in images)
            await warmer.RunAsync(name, text, platforms, WriteAsync, aborted);

        async ValueTask WriteAsync(WarmProgress progress)
        {
            await http.Response.Body.WriteAsync(
                (byte[])[.. JsonSerializer.SerializeToUtf8Bytes(progress, AdminJson.Default.WarmProgress), (byte)'\n'], aborted);
            await http.Response.Body.FlushAsync(aborted);
        }
    }

    private static Ok<ReloadAnswer> ReloadSettings(HttpContext http, Reload reload)
    {
        Caller(http).RequireServer();
        return reload.Run() is { Count: > 0 } mistakes
            ? throw new RegistryException(
                new RegistryError("UNSUPPORTED", 400, "nothing has changed: the configuration has mistakes"), [.. mistakes])
            : TypedResults.Ok(
                new ReloadAnswer("the configuration was read again; the log says what has changed, and what needs a restart"));
    }

    private static async ValueTask<(ImageName Image, string Tag)> TagOfAsync(
        HttpContext http, string text, RepositoryResolver repositories, CancellationToken aborted)
    {
        var image = ImageName.Parse(text, repositories);
        await Caller(http).RequireAsync(image.Name, aborted);
        return image.Reference?.IsTag(out var tag, out _) == true ? (image, tag)
            : throw new RegistryException(RegistryError.TagInvalid, "name a repository and a tag");
    }

    private static AdminCaller Caller(HttpContext http) => http.Features.Get<AdminCaller>()!;

    private static ImageRow Row(ListedImage image, RepositoryResolver repositories, bool isPinned) => new(
        image.Name.ToString(), image.Tag, image.Digest.ToString(), image.Platforms, image.Bytes, image.SharedBytes, image.IsWhole,
        image.LastUsed, image.Pulls, isPinned, repositories.IsMirrored(image.Name) ? "mirrored" : "hosted");

    private static string Next(HttpOptions options, string? search, int n, ListedImage last)
    {
        List<KeyValuePair<string, string?>> query =
            [new("n", n.ToString(CultureInfo.InvariantCulture)), new("last", last.Text)];
        if (search is not null)
            query.Add(new("search", search));
        return $"{options.Prefix.TrimEnd('/')}/mirror/v1/images{QueryString.Create(query)}";
    }

    private static List<string> Texts(IEnumerable<Digest> digests) => [.. digests.Select(digest => digest.ToString())];

    [LoggerMessage(Level = LogLevel.Information, Message =
        "{User} purged {Image}: {Tags} tags, {Manifests} manifests and {Layers} layers are gone, {Bytes} bytes are free")]
    private static partial void LogPurged(ILogger log, string? user, string image, int tags, int manifests, int layers, long? bytes);
}
