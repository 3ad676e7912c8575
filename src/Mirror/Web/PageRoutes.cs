using Mirror.Access;
using Mirror.Admin;
using Mirror.Configuration;
using Mirror.Fleet;
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
    private static readonly TimeSpan MaxWait = TimeSpan.FromMilliseconds(50);
    // Numbers that are wrong by what has just happened look like a fault.
    private static readonly TimeSpan MaxWaitForNumbers = TimeSpan.FromMilliseconds(500);

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
        RegistryError.Denied, $"{what} needs a login that access.rules let administer the server, or the token of the administrator")
    {
        Advice = AccessByRules.Advice,
    };

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
                await Get<StoreUsage>().ReadAsync(MaxWaitForNumbers, request.Aborted), cache.IsMeasured ? cache.Bytes : null,
                Get<CacheUsage>().IsShared ? Get<Replica>().Address.AbsoluteUri : null, await Get<FleetMembers>().ListAsync(),
                Get<UpstreamSelector>().All);
        }
        await _renderer.WriteAsync<OverviewPage>(
            request.Http, frame, new OverviewModel(Get<HourlyAnswers>().List(), Get<RequestMetrics>().Answers, usage));
    }

    private async Task LiveAsync(RegistryRequest request, Frame frame)
    {
        List<(RepositoryName, WarmProgress)> warmed = [];
        var all = Get<Warming>().List();
        await frame.Viewer.PrepareAsync(all.Select(each => each.Name), request.Aborted);
        foreach (var (name, progress) in all)
            if (await frame.Viewer.MaySeeAsync(name, request.Aborted))
                warmed.Add((name, progress));
        await _renderer.WriteAsync<LivePage>(
            request.Http, frame, new LiveModel(await Get<LiveFeed>().NowAsync(frame.Viewer, request.Aborted), warmed));
    }

    private async Task ImagesAsync(RegistryRequest request, Frame frame)
    {
        var query = request.Http.Request.Query;
        var model = await Get<ImageLists>().PageAsync(
            frame.Viewer, query["search"].ToString(), query["sort"].ToString(), query["after"].ToString(), request.Aborted);
        await _renderer.WriteAsync<ImagesPage>(request.Http, frame, model);
    }

    private async Task ImageAsync(RegistryRequest request, Frame frame)
    {
        var (name, reference) = await ImageAsync(request, frame.Viewer);
        await _indexing.CatchUpForAnswerAsync(MaxWait, request.Aborted);
        var image = await Get<ImageDetails>().FindAsync(name, reference, request.Aborted) ?? throw Unknown();
        var mayChange = await frame.Viewer.MayChangeAsync(name, request.Aborted);
        var (history, pullers) = await Task.Run(
            () => (image.Tag is { } tag ? _index.HistoryOf(name, tag) : [], mayChange ? _index.PullersOf(name, reference) : []),
            request.Aborted);
        await _renderer.WriteAsync<Pages.ImagePage>(request.Http, frame, new ImageModel(image, mayChange, history, pullers));
    }

    private async Task PurgeAsync(RegistryRequest request, Frame frame)
    {
        var (name, reference) = await ImageAsync(request, frame.Viewer);
        if (!await frame.Viewer.MayChangeAsync(name, request.Aborted))
            throw Refused("to purge an image");
        var image = new ImageName(name, reference);
        var plan = await Get<Purge>().RunAsync(image, dryRun: true, request.Aborted);
        await _renderer.WriteAsync<PurgePage>(request.Http, frame, new PurgeModel(image.ToString(), plan));
    }

    private async Task DeleteAsync(RegistryRequest request, Frame frame)
    {
        var (name, reference) = await ImageAsync(request, frame.Viewer);
        if (!reference.IsTag(out var tag, out _))
            throw Unknown();
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

    // The image of the query, if the viewer may see it.
    private async ValueTask<(RepositoryName Name, Reference Reference)> ImageAsync(RegistryRequest request, Viewer viewer)
    {
        var image = ImageName.Parse(request.Http.Request.Query["image"], _repositories);
        return image.Reference is { } reference && await viewer.MaySeeAsync(image.Name, request.Aborted)
            ? (image.Name, reference)
            : throw Unknown();
    }

    private static RegistryException Unknown() =>
        new(RegistryError.ManifestUnknown, "no such image is stored here, or it is not for this login");
}
