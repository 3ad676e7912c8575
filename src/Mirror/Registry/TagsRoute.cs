using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary><c>/v2/&lt;name&gt;/tags/list</c></summary>
internal static class TagsRoute
{
    public static async Task GetAsync(RegistryRequest request, RepositoryResolver repositories, TagsOptions options)
    {
        var query = request.Http.Request.Query;
        int? count = Paging.Count(query) is { } asked ? Math.Min(asked, options.MaxTags) : null;
        var last = query["last"] is { Count: > 0 } behind ? behind.ToString() : null;
        if (last is not null && !Reference.IsTagName(last))
            throw new RegistryException(RegistryError.TagInvalid, "'last' is the tag to go on behind");
        var answer = await repositories[request.Name].ListTagsAsync(count, last, request.Aborted)
            ?? throw new RegistryException(RegistryError.NameUnknown, $"no repository {request.Route.Name}");
        request.SetCacheStatus(answer);
        var page = answer.Value;
        if (page.More && page.Tags.Count > 0)
            Paging.Link(request, count ?? page.Tags.Count, page.Tags[^1]);
        await JsonBody.WriteAsync(request, new TagList(request.Route.Name, page.Tags), RegistryJson.Default.TagList);
    }
}
