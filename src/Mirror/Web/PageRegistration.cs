using Mirror.Configuration;
using Mirror.Health;

namespace Mirror.Web;

/// <summary>Registers the pages.</summary>
public static class PageRegistration
{
    /// <summary>Adds what the pages need, where there are pages.</summary>
    public static IServiceCollection AddPages(this IServiceCollection services, UiOptions ui) => ui.Enabled != true
        ? services
        : services
            .AddSingleton<Sessions>()
            .AddSingleton<PageAccess>()
            .AddSingleton<PageRenderer>()
            .AddSingleton<LiveFeed>()
            .AddSingleton<Warming>()
            .AddSingleton<ImageDetails>()
            .AddSingleton<ImageLists>()
            .AddSingleton<PageActions>()
            .AddSingleton<PageRoutes>()
            .AddSingleton<PagePipeline>()
            .AddSingleton<HourlyAnswers>()
            .AddHostedService(provider => provider.GetRequiredService<HourlyAnswers>());

    /// <summary>Answers every request below <c>/ui</c>, on every address of the server.</summary>
    public static void MapPages(this WebApplication app, HttpOptions http)
    {
        var path = PagePipeline.BaseOf(http);
        var pipeline = app.Services.GetRequiredService<PagePipeline>();
        app.MapSeparately(context => context.Request.Path.StartsWithSegments(path, StringComparison.Ordinal), pages =>
            pages.Run(pipeline.InvokeAsync));
    }
}
