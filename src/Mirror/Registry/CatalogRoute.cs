using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Registry;

/// <summary><c>/v2/_catalog</c>: what is stored here, mirrored or hosted.</summary>
internal static class CatalogRoute
{
    private const int DefaultCount = 100;

    public static async Task GetAsync(RegistryRequest request, IReferenceStore references, CatalogOptions options)
    {
        var query = request.Http.Request.Query;
        var count = Paging.Count(query) ?? Math.Min(DefaultCount, options.MaxEntries);
        if (count > options.MaxEntries)
            throw new RegistryException(RegistryError.PaginationNumberInvalid, $"'n' is {options.MaxEntries} at most");
        RepositoryName? last = query["last"] is { Count: > 0 } behind
            ? RepositoryName.TryParse(behind.ToString(), out var name) ? name : throw new RegistryException(RegistryError.NameInvalid, "'last' is the repository to go on behind")
            : null;

        List<string> page = [];
        var more = false;
        await foreach (var repository in references.ListRepositoriesAsync(request.Aborted))
        {
            if (last is { } seen && repository <= seen)
                continue;
            if (page.Count == count)
            {
                more = count > 0;
                break;
            }
            page.Add(repository.ToString());
        }
        if (more)
            Paging.Link(request, count, page[^1]);
        await JsonBody.WriteAsync(request, new RepositoryList(page), RegistryJson.Default.RepositoryList);
    }
}
