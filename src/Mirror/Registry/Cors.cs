using Mirror.Configuration;
using Mirror.Repositories;

namespace Mirror.Registry;

/// <summary>
/// <c>http.cors</c>: lets pages of other hosts read the registry's answers, errors and challenges among them (the Fetch standard, 3.3).
/// It is about the registry only. The API of the administrator never gets these headers.
/// </summary>
public sealed class Cors(HttpOptions http)
{
    private const string Prefix = "Access-Control-";
    private const string EveryPage = "*";

    private readonly CorsOptions _options = http.Cors;
    private readonly NamePattern[] _origins = [.. http.Cors.Origins.Select(origin => new NamePattern(origin))];
    private readonly bool _isForEveryPage = http.Cors.Origins.Contains(EveryPage);
    private readonly string _methods = string.Join(", ", http.Cors.Methods);
    private readonly string _headers = string.Join(", ", http.Cors.Headers);
    private readonly string _exposed = string.Join(", ", http.Cors.ExposeHeaders);
    private readonly string _maxAge = $"{http.Cors.MaxAge.TotalSeconds:0}";

    /// <summary>Gives the answer to a request the headers that its page needs, in place of those in <c>http.headers</c>.</summary>
    public void AddTo(HttpContext context)
    {
        if (_origins.Length == 0)
            return;
        // An error clears all headers before it writes its own.
        context.Response.OnStarting(
            static state =>
            {
                var (cors, asked) = ((Cors, HttpContext))state;
                cors.Set(asked.Request, asked.Response.Headers);
                return Task.CompletedTask;
            },
            (this, context));
    }

    private void Set(HttpRequest request, IHeaderDictionary headers)
    {
        foreach (var name in http.Headers.Keys)
            if (name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
                headers.Remove(name);
        // A cache must not give the answer for one page to another.
        if (!_isForEveryPage)
            headers.Append("Vary", "Origin");
        if (request.Headers.Origin is not [{ } origin]
            || !_isForEveryPage && !(HeaderText.IsValid(origin) && NamePattern.AnyMatches(_origins, origin)))
            return;
        headers.AccessControlAllowOrigin = _isForEveryPage ? EveryPage : origin;
        if (_options.SupportsCredentials)
            headers.AccessControlAllowCredentials = "true";
        if (!HttpMethods.IsOptions(request.Method) || request.Headers.AccessControlRequestMethod.Count == 0)
        {
            headers.AccessControlExposeHeaders = _exposed;
            return;
        }
        headers.AccessControlAllowMethods = _methods;
        headers.AccessControlAllowHeaders = _headers;
        headers.AccessControlMaxAge = _maxAge;
    }
}
