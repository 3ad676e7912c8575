using System.Text;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;

namespace Mirror.Web;

/// <summary>Writes Razor components as whole pages of HTML. Every text in them is encoded.</summary>
internal sealed class PageRenderer(IServiceProvider services, ILoggerFactory logs)
{
    /// <summary>Answers with a component.</summary>
    /// <param name="model">Its parameter <c>Model</c>; null for a component without one.</param>
    public async Task WriteAsync<T>(HttpContext http, Frame frame, object? model = null) where T : IComponent
    {
        Dictionary<string, object?> parameters = new() { ["Frame"] = frame };
        if (model is not null)
            parameters["Model"] = model;
        await using var renderer = new HtmlRenderer(services, logs);
        var html = await renderer.Dispatcher.InvokeAsync(
            async () => (await renderer.RenderComponentAsync<T>(ParameterView.FromDictionary(parameters))).ToHtmlString());
        var bytes = Encoding.UTF8.GetBytes(html);
        http.Response.ContentType = "text/html; charset=utf-8";
        http.Response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(http.Request.Method))
            await http.Response.Body.WriteAsync(bytes, http.RequestAborted);
    }
}
