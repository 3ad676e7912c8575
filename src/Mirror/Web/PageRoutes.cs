using System.Globalization;
using Mirror.Admin;
using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Registry;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Web.Pages;

namespace Mirror.Web;

/// <summary>Every page, in one table. What a viewer may not pull is not there for it.</summary>
internal sealed class PageRoutes
{
    private const int PageSize = 50;
    // Of a viewer who may see few of many images, a page may be short; it has a link to the next one all the same.
    private const int MaxLooked = 5_000;
    private const int MaxSearch = 200;
    private static readonly TimeSpan MaxWait = TimeSpan.FromMilliseconds(50);

    private static readonly Dictionary<string, Func<PageRoutes, RegistryRequest, Frame, Task>> Table = new()
    {
        [""] = static (pages, request, frame) => pages.OverviewAsync(request, frame),
        ["live"] = static (pages, request, frame) => pages.LiveAsync(request, frame),
        ["live/events"] = static (pages, request, frame) => pages.Get<LiveFeed>().SendAsync(request.Http, frame.Viewer),
        ["images"] = static (pages, request, frame) => pages.ImagesAsync(request, frame),
        ["image"] = static (pages, request, frame) => pages.ImageAsync(request, frame),
        ["purge"] = static (pages, request, frame) => pages.PurgeAsync(request, frame),
        ["delete"] = static (pages, request, frame) => pages.DeleteAsync(request, frame),
        ["why"] = static (pages, request, frame) => pages.WhyAsync(request, frame),
        ["upstreams"] = Server(static (pages, request, frame) => pages.UpstreamsAsync(request, frame)),
        ["clients"] = Server(static (pages, request, frame) => pages.ClientsAsync(request, frame)),
        ["settings"] = Server(static (pages, request, frame) => pages.SettingsAsync(request, frame)),
        ["login"] = static (pages, request, frame) => pages.LoginAsync(request, frame, wrong: false),
    };

    private readonly PageRenderer _renderer;
    private readonly PageAccess _access;
    private readonly PageActions _actions;
    private readonly IServiceProvider _services;
    private readonly ImageIndex _index;
    private readonly ImageIndexing _indexing;
    private readonly RepositoryResolver _repositories;

    public PageRoutes(
        PageRenderer renderer, PageAccess access, PageActions actions, ImageIndex index, ImageIndexing indexing,
        RepositoryResolver repositories, IServiceProvider services)
    {
        (_renderer, _access, _actions, _index, _indexing, _repositories, _services) =
            (renderer, access, actions, index, indexing, repositories, services);
    }

    /// <summary>The paths of all pages, below <c>/ui/</c>.</summary>
    public static IReadOnlyCollection<string> Paths => Table.Keys;

    /// <summary>Answers with a page, or does what a form asks for.</summary>
    /// <exception cref="RegistryException">There is no such page, or the viewer may not see it.</exception>
    public async Task AnswerAsync(RegistryRequest request, Frame frame)
    {
        var (http, method) = (request.Http, request.Http.Request.Method);
        if (method is "GET" or "HEAD" && Table.TryGetValue(frame.Here, out var page))
            await page(this, request, frame);
        else if (method is "POST" && frame.Here is "login")
        {
            if (await _actions.LogInAsync(request, frame) is { } page2)
                http.Response.Redirect(page2);
            else
                await LoginAsync(request, frame, wrong: true);
        }
        else if (method is "POST" && PageActions.Has(frame.Here))
            http.Response.Redirect(await _actions.RunAsync(request, frame));
        else
            throw new RegistryException(RegistryError.NotFound, "there is no such page");
        if (http.Response.StatusCode == StatusCodes.Status302Found)
            http.Response.StatusCode = StatusCodes.Status303SeeOther;
    }

    private T Get<T>() where T : notnull => _services.GetRequiredService<T>();

    private static Func<PageRoutes, RegistryRequest, Frame, Task> Server(Func<PageRoutes, RegistryRequest, Frame, Task> page) =>
        (pages, request, frame) => frame.Viewer.IsServerAdmin ? page(pages, request, frame) : throw Refused("this page");

    private static RegistryException Refused(string what) => new(
        RegistryError.Denied, $"{what} needs a login that access.rules let administer the server, or the token of the administrator");

    private Task LoginAsync(RegistryRequest request, Frame frame, bool wrong)
    {
        if (wrong)
            request.Http.Response.StatusCode = StatusCodes.Status401Unauthorized;
        return _renderer.WriteAsync<LoginPage>(
            request.Http, frame,
            new LoginModel(request.Http.Request.Query["to"].ToString(), wrong, _access.HasUsers, _access.TakesToken(request.Http)));
    }

    private async Task OverviewAsync(RegistryRequest request, Frame frame)
    {
        UsageModel? usage = null;
        if (frame.Viewer.IsServerAdmin)
        {
            var cache = Get<CacheSize>();
            usage = new(
                await Get<StoreUsage>().ReadAsync(MaxWait, request.Aborted), cache.IsMeasured ? cache.Bytes : null,
                Get<FleetOptions>().Address, Get<UpstreamSelector>().All);
        }
        await _renderer.WriteAsync<OverviewPage>(
            request.Http, frame, new OverviewModel(Get<HourlyAnswers>().List(), Get<RequestMetrics>().Answers, usage));
    }

    private async Task LiveAsync(RegistryRequest request, Frame frame)
    {
        List<(RepositoryName, WarmProgress)> warmed = [];
        foreach (var (name, progress) in Get<Warming>().List())
            if (await frame.Viewer.MaySeeAsync(name, request.Aborted))
                warmed.Add((name, progress));
        await _renderer.WriteAsync<LivePage>(
            request.Http, frame, new LiveModel(await Get<LiveFeed>().NowAsync(frame.Viewer, request.Aborted), warmed));
    }

    private async Task ImagesAsync(RegistryRequest request, Frame frame)
    {
        var query = request.Http.Request.Query;
        var search = query["search"].ToString().Trim();
        if (search.Length > MaxSearch)
            search = search[..MaxSearch];
        ImageOrder? order = query["sort"].ToString() switch
        {
            "size" => ImageOrder.Size,
            "pulls" => ImageOrder.Pulls,
            "used" => ImageOrder.LastUsed,
            _ => null,
        };
        var after = query["after"].ToString();
        var isComplete = await _indexing.CatchUpForAnswerAsync(MaxWait, request.Aborted);
        var pins = Get<IPinStore>();
        List<ImageLine> lines = [];
        var last = after.Length > 0 ? after : null;
        var looked = 0;
        var isOver = false;
        while (lines.Count < PageSize && looked < MaxLooked && !isOver)
        {
            var page = await Task.Run(() => Page(order, search.Length > 0 ? search : null, last), request.Aborted);
            isOver = page.Count < PageSize;
            foreach (var image in page)
            {
                if (lines.Count == PageSize)
                {
                    isOver = false;
                    break;
                }
                (last, looked) = (Place(order, image), looked + 1);
                if (await frame.Viewer.MaySeeAsync(image.Name, request.Aborted))
                    lines.Add(new(
                        image, _repositories.IsMirrored(image.Name), await pins.IsPinnedAsync(image.Name, image.Tag, request.Aborted),
                        StateOf(image)));
            }
        }
        await _renderer.WriteAsync<ImagesPage>(
            request.Http, frame,
            new ImagesModel(
                search, order is null ? "name" : query["sort"].ToString(), lines, isComplete, after.Length == 0, isOver ? null : last));
    }

    // How the tag differs from that of upstream; null where it does not, as far as this server knows.
    private string? StateOf(ListedImage image)
    {
        var held = Get<HeldTags>();
        if (held.Find(image.Name, image.Tag) is not null)
            return held.MovesTo(image.Name, image.Tag) is null ? "kept" : "cooling down";
        return _repositories.IsMirrored(image.Name) && Get<UpstreamSelector>().Find(image.Name) is { } mirror
            && mirror.Upstream.State.Troubles.Away.Count > 0 && Get<TagFreshness>().Fresh(image.Name, image.Tag) is null ? "stale" : null;
    }

    private IReadOnlyList<ListedImage> Page(ImageOrder? order, string? search, string? after)
    {
        var wrong = new RegistryException(RegistryError.NameInvalid, "'after' is not from a page of this list");
        if (order is not { } by)
        {
            var colon = after?.LastIndexOf(':') ?? 0;
            return colon < 0 ? throw wrong
                : _index.Page(search, after is null ? null : (after[..colon], after[(colon + 1)..]), PageSize);
        }
        (long, long)? place = null;
        if (after is not null)
            place = after.Split('.') is [var value, var id] && Number(value) is { } v && Number(id) is { } i ? (v, i) : throw wrong;
        return _index.Page(by, search, place, PageSize);

        static long? Number(string text) =>
            long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
    }

    private static string Place(ImageOrder? order, ListedImage image) => order switch
    {
        null => $"{image.Name}:{image.Tag}",
        ImageOrder.Size => $"{image.Bytes}.{image.Id}",
        ImageOrder.Pulls => $"{image.Pulls}.{image.Id}",
        _ => $"{image.LastUsed?.ToUnixTimeMilliseconds() ?? 0}.{image.Id}",
    };

    private async Task ImageAsync(RegistryRequest request, Frame frame)
    {
        var (name, tag) = await TagAsync(request, frame);
        await _indexing.CatchUpForAnswerAsync(MaxWait, request.Aborted);
        var image = await Get<ImageDetails>().FindAsync(name, tag, request.Aborted) ?? throw Unknown();
        var mayChange = await frame.Viewer.MayChangeAsync(name, request.Aborted);
        var (history, pullers) = await Task.Run(
            () => (_index.HistoryOf(name, tag), mayChange ? _index.PullersOf(name, tag) : []), request.Aborted);
        await _renderer.WriteAsync<Pages.ImagePage>(request.Http, frame, new ImageModel(image, mayChange, history, pullers));
    }

    private async Task PurgeAsync(RegistryRequest request, Frame frame)
    {
        var (name, tag) = await TagAsync(request, frame);
        if (!await frame.Viewer.MayChangeAsync(name, request.Aborted))
            throw Refused("to purge an image");
        var plan = await Get<Purge>().RunAsync(name, tag, dryRun: true, request.Aborted);
        await _renderer.WriteAsync<PurgePage>(request.Http, frame, new PurgeModel($"{name}:{tag}", plan));
    }

    private async Task DeleteAsync(RegistryRequest request, Frame frame)
    {
        var (name, tag) = await TagAsync(request, frame);
        if (!await frame.Viewer.MayChangeAsync(name, request.Aborted))
            throw Refused("to delete a tag");
        if (_repositories.IsMirrored(name))
            throw new RegistryException(RegistryError.Denied, $"{name} is mirrored: purge the image instead");
        var digest = await Get<IReferenceStore>().ResolveTagAsync(name, tag, request.Aborted) ?? throw Unknown();
        var others = await Task.Run(() => _index.TagsOf(name, digest), request.Aborted);
        await _renderer.WriteAsync<DeletePage>(
            request.Http, frame, new DeleteModel(name, tag, digest, [.. others.Where(other => other != tag)], Get<MirrorOptions>()));
    }

    private async Task WhyAsync(RegistryRequest request, Frame frame)
    {
        var text = request.Http.Request.Query["image"].ToString().Trim();
        WhyModel model = new(text, null, null);
        if (text.Length > 0)
            try
            {
                var image = ImageName.Parse(text, _repositories);
                model = await frame.Viewer.MaySeeAsync(image.Name, request.Aborted)
                    ? model with { Explained = await Get<Explanation>().OfAsync(image, request.Aborted) }
                    : model with { Problem = "No request for it is known." };
            }
            catch (RegistryException wrong)
            {
                model = model with { Problem = wrong.Message };
            }
        await _renderer.WriteAsync<WhyPage>(request.Http, frame, model);
    }

    private Task UpstreamsAsync(RegistryRequest request, Frame frame) => _renderer.WriteAsync<UpstreamsPage>(
        request.Http, frame, new UpstreamsModel(Get<UpstreamSelector>().All, Get<TimeProvider>().GetUtcNow()));

    private Task ClientsAsync(RegistryRequest request, Frame frame)
    {
        var (seen, options) = (Get<ClientsSeen>(), Get<MirrorOptions>());
        return _renderer.WriteAsync<ClientsPage>(
            request.Http, frame,
            new ClientsModel(seen.List(), seen.NotAsked(), seen.IsFull, ClientSnippets.Of(options), ClientSnippets.NoteOf(options)));
    }

    private Task SettingsAsync(RegistryRequest request, Frame frame)
    {
        var (configuration, audit) = (Get<ConfigurationInForce>().Read(), Get<AuditLog>());
        return _renderer.WriteAsync<SettingsPage>(
            request.Http, frame,
            new SettingsModel(configuration.Source, EffectiveConfiguration.List(configuration), audit.IsOn, audit.Recent));
    }

    private async ValueTask<(RepositoryName Name, string Tag)> TagAsync(RegistryRequest request, Frame frame)
    {
        var image = ImageName.Parse(request.Http.Request.Query["image"], _repositories);
        return image.Reference is { } reference && reference.IsTag(out var tag, out _)
            && await frame.Viewer.MaySeeAsync(image.Name, request.Aborted)
            ? (image.Name, tag)
            : throw Unknown();
    }

    private static RegistryException Unknown() =>
        new(RegistryError.ManifestUnknown, "no such image is stored here, or it is not for this login");
}
