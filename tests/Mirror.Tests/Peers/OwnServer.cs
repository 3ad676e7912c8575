using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Mirror.Tests.Peers;

/// <summary>A server of the test's own, for what no real one does on demand.</summary>
internal static class OwnServer
{
    /// <summary>Answers every request to an address, whatever its path.</summary>
    public static async Task<WebApplication> StartAsync(Uri url, RequestDelegate answer)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(url.GetLeftPart(UriPartial.Authority));
        var app = builder.Build();
        app.Run(answer);
        await app.StartAsync();
        return app;
    }
}
