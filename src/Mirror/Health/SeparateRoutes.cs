namespace Mirror.Health;

/// <summary>Routes that only some requests are compared with.</summary>
public static class SeparateRoutes
{
    /// <summary>
    /// Answers some requests by a pipeline with routing of its own. In a branch of the application, the framework would make its routes
    /// those of the whole application, and match every request of the registry with them.
    /// </summary>
    /// <param name="isMeant">Whether the pipeline answers a request.</param>
    /// <param name="build">Builds the pipeline.</param>
    public static void MapSeparately(this WebApplication app, Func<HttpContext, bool> isMeant, Action<IApplicationBuilder> build)
    {
        var pipeline = new ApplicationBuilder(app.Services);
        build(pipeline);
        var answer = pipeline.Build();
        app.MapWhen(isMeant, branch => branch.Run(answer));
    }
}
