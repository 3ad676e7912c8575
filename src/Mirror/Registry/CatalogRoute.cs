using Mirror.Access;
using Mirror.Configuration;
using Mirror.Storage.Stores;

namespace Mirror.Registry;

/// <summary><c>/v2/_catalog</c>: the stored repositories, mirrored and hosted, that the user may list.</summary>
public sealed class CatalogRoute(
    IReferenceStore references, IAccess access, PrivateReads privates, RepositoryWalks walks, CatalogOptions options)
{
    private const int DefaultCount = 100;

    public async Task GetAsync(RegistryRequest request)
    {
        var query = request.Http.Request.Query;
        var count = Paging.Count(query) ?? Math.Min(DefaultCount, options.MaxEntries);
        if (count > options.MaxEntries)
            throw new RegistryException(RegistryError.PaginationNumberInvalid, $"'n' is {options.MaxEntries} at most")
            {
                Advice = "if clients shall get longer pages of the catalog, raise catalog.maxentries",
            };
        // Any text: a client may begin at a place that is no name, such as "team/".
        var last = Paging.Value(query, "last") ?? "";

        List<string> page = [];
        var more = false;
        // The turn ends before the answer is sent: other clients do not wait for one that reads its answer slowly.
        using (await walks.EnterAsync(request.Aborted))
            await foreach (var repository in references.ListRepositoriesAfterAsync(last, request.Aborted))
            {
                if (!await access.AuthorizeAsync(request.User, repository, AccessAction.List, request.Aborted)
                    || !await privates.MaySeeAsync(request, repository))
                    continue;
                if (page.Count == count)
                {
                    more = count > 0;
                    break;
                }
                page.Add(repository.ToString());
            }
        if (more)
            Paging.Link(request, ("last", page[^1]), ("n", count));
        await JsonBody.WriteAsync(request, new RepositoryList(page), RegistryJson.Default.RepositoryList);
    }
}
