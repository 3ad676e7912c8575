using Mirror.Configuration;

namespace Mirror.Search;

/// <summary>Registers the services of Search.</summary>
public static class SearchRegistration
{
    public static IServiceCollection AddSearch(this IServiceCollection services, SearchOptions options)
    {
        services.AddSingleton(options).AddSingleton<SourceIndex>().AddSingleton<RepositorySearch>();
        if (options.Database is null)
            return services;
        return services
            .AddSingleton<ISearchIndex>(new SqlSearchIndex(SearchDatabase.Parse(options.Database)))
            .AddSingleton<SearchIndexing>()
            .AddHostedService(provider => provider.GetRequiredService<SearchIndexing>());
    }
}
