using Mirror.Configuration;

namespace Mirror.Registry;

/// <summary><c>/v2/&lt;name&gt;/tags/list</c> (OCI distribution-spec 1.1.1, "Listing Tags").</summary>
public sealed class TagsRoute(TagsOptions options)
{
    public async Task GetAsync(RegistryRequest request)
    {
        var query = request.Http.Request.Query;
        int? count = Paging.Count(query) is { } asked ? Math.Min(asked, options.MaxTags) : null;
        // Any text: a client may begin at a place that is no tag.
        var last = Paging.Value(query, "last");
        var answer = await request.Repository.ListTagsAsync(count, last, request.Aborted)
            ?? throw new RegistryException(RegistryError.NameUnknown, $"no repository {request.Route.Name}");
        request.SetCacheStatus(answer);
        var page = answer.Value;
        if (page.More && page.Tags.Count > 0)
            Paging.Link(request, ("last", page.Tags[^1]), ("n", count ?? page.Tags.Count));
        await JsonBody.WriteAsync(request, new TagList(request.Route.Name, page.Tags), RegistryJson.Default.TagList);
    }
}
