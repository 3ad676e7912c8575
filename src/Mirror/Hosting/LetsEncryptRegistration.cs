using Microsoft.AspNetCore.Server.Kestrel.Core;
using Mirror.Configuration;
using Mirror.Health;
using Mirror.Limits;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Tls.Acme;

namespace Mirror.Hosting;

/// <summary>What <c>http.tls.letsencrypt</c> needs beside the listener of <c>http.addr</c>.</summary>
internal static class LetsEncryptRegistration
{
    private const string Folder = "/.well-known/acme-challenge/";
    private const int DefaultPort = 443;
    // RFC 8555, 8.3.
    private const int Http01Port = 80;
    private const int MaxDocument = 256 << 10;
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(30);

    /// <summary>Adds the certificates, if the settings ask for them.</summary>
    public static IServiceCollection AddLetsEncrypt(this IServiceCollection services, LetsEncryptOptions options) =>
        options.CacheFile is not { } file ? services : services
            .AddSingleton(new CertificateFolder(file))
            .AddSingleton<Challenges>()
            .AddSingleton(provider =>
            {
                var certificates = new ObtainedCertificates(
                    NewClient(), new Uri(options.DirectoryUrl), options.Hosts, options.Email, byFile: options.Http01 is not null,
                    provider.GetRequiredService<CertificateFolder>(), provider.GetRequiredService<Challenges>(),
                    provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ObtainedCertificates>>());
                provider.GetRequiredService<CertificateMetrics>().Read = () => certificates.Ends;
                return certificates;
            })
            .AddHostedService(provider => provider.GetRequiredService<ObtainedCertificates>());

    /// <summary>Listens for the challenge HTTP-01, if the settings ask for that.</summary>
    public static void ListenForHttp01(this KestrelServerOptions kestrel, LetsEncryptOptions options)
    {
        if (options.Http01 is { } address)
            ListenAddress.Parse(address).Listen(kestrel, Listener.Http01, endpoint =>
            {
                endpoint.Use(endpoint.ApplicationServices.GetRequiredService<ClientConnections>().Around);
                endpoint.Protocols = HttpProtocols.Http1;
            });
    }

    /// <summary>Answers every request to that listener: the challenge, and for browsers where the registry is.</summary>
    public static void MapHttp01(this WebApplication app, HttpOptions http)
    {
        if (http.Tls.LetsEncrypt.Http01 is not { } address)
            return;
        var port = ListenAddress.Parse(address).Port;
        var challenges = app.Services.GetRequiredService<Challenges>();
        var certificates = app.Services.GetRequiredService<ObtainedCertificates>();
        app.MapSeparately(Listener.Http01.Accepted, pipeline => pipeline.Run(context =>
        {
            var (request, response) = (context.Request, context.Response);
            var isRead = HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method);
            if (isRead && request.Path.Value is { } path && path.StartsWith(Folder, StringComparison.Ordinal)
                && challenges.File(path[Folder.Length..]) is { } proof)
                return response.WriteAsync(proof, context.RequestAborted);
            // Not to any name that a request has: that would send users of a link elsewhere.
            if (isRead && certificates.Has(request.Host.Host))
                response.Redirect(HeaderText.Of(
                    new Uri($"https://{Https(request.Host.Host)}{request.Path.ToUriComponent()}{request.QueryString.ToUriComponent()}")));
            else
                response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }));

        string Https(string host) => HttpsPort(http, host, port) is var https and not DefaultPort ? $"{host}:{https}" : host;
    }

    // Where the authority comes to this very listener, browsers come to the other one as well. Before other ports something stands that
    // leads to them, and its own ports are known only from http.host.
    private static int HttpsPort(HttpOptions http, string host, int http01Port) =>
        Uri.TryCreate(http.Host, UriKind.Absolute, out var known) && known.Scheme == Uri.UriSchemeHttps
            && known.Host.Equals(host, StringComparison.OrdinalIgnoreCase) ? known.Port
        : http01Port == Http01Port ? ListenAddress.Parse(http.Addr).Port
        : DefaultPort;

    /// <summary>A client for requests to the authority, whose answers have limits in time and length.</summary>
    internal static HttpClient NewClient()
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            ConnectCallback = HappyEyeballs.ConnectAsync,
        };
        var client = new HttpClient(new ProxyLogin(handler)) { Timeout = MaxWait, MaxResponseContentBufferSize = MaxDocument };
        // RFC 8555, 6.1 requires one.
        client.DefaultRequestHeaders.UserAgent.ParseAdd($"mirror/{Build.Version}");
        return client;
    }
}
