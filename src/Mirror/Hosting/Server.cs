using System.Diagnostics;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Mirror.Access;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Health;
using Mirror.Limits;
using Mirror.Maintenance;
using Mirror.Notifications;
using Mirror.PullThrough;
using Mirror.Registry;
using Mirror.Telemetry;

namespace Mirror.Hosting;

/// <summary>The registry at work.</summary>
public static partial class Server
{
    private static readonly TimeSpan MaxPause = TimeSpan.FromMinutes(1);

    /// <summary>Serves until <paramref name="cancellationToken"/> or a signal ends it.</summary>
    /// <param name="warnings">What the configuration says that is ignored, a line each.</param>
    public static async Task RunAsync(MirrorOptions options, IReadOnlyList<string> warnings, CancellationToken cancellationToken)
    {
        // Nothing of the framework's own configuration: its files would be looked for, and watched, in whatever folder the server is started.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        // An answer is sent by the thread that has it, instead of waking another one up. The name warns of work that holds up other connections,
        // which only is so where the runtime is told as well to do without its pool of threads (DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS).
        builder.WebHost.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
        ResponseMemoryPool.Use(builder.Services);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.Http.DrainTimeout + ShutdownDelay.TimeOf(options));
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddMirrorOptions(options);
        builder.AddTelemetry(options.Log, options.Http.Debug);
        builder.Services.AddDebugEndpoints(options.Http.Debug);
        builder.Services.AddStorage(options.Storage);
        builder.Services.AddHealth(options.Health);
        builder.Services.AddFleet(options);
        builder.Services.AddRepositories(options.Proxy);
        builder.Services.AddAccess(options.Auth);
        builder.Services.AddRegistry();
        builder.Services.AddMaintenance(options.Storage, options.Proxy);
        builder.Services.AddNotifications(options);
        if (options.Http.Tls.Certificate is not null)
            builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => Listen(kestrel, options.Http));

        await using var app = builder.Build();
        foreach (var warning in warnings)
            LogWarning(app.Logger, warning);
        if (options.Http.Debug.Addr is { } debug)
            app.MapDebug(ListenAddress.Parse(debug), options.Http.Debug);
        UnsupportedHttpVersion.SubscribeTo(app.Services.GetRequiredService<DiagnosticListener>());
        app.Run(app.Services.GetRequiredService<RegistryPipeline>().InvokeAsync);

        await app.StartAsync(cancellationToken);
        LogReady(app.Logger, string.Join(", ", app.Urls), options.Proxy.RemoteUrl?.ToString() ?? "none, a plain registry", options.Storage.Place);
        await app.WaitForShutdownAsync(cancellationToken);
    }

    private static void Listen(KestrelServerOptions kestrel, HttpOptions http)
    {
        kestrel.AddServerHeader = false;
        // Layers have no largest size; manifests have one of their own.
        kestrel.Limits.MaxRequestBodySize = null;
        // Whoever unpacks what he downloads, or sits behind a proxy that is busy, reads in fits: only one that takes nothing at all for so long is gone.
        kestrel.Limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: MaxPause);
        // Past the limit of open files nobody is served; before it, one connection too many is refused and the others are.
        kestrel.Limits.MaxConcurrentConnections = OpenFiles.MaxConnections;
        ListenAddress.Parse(http.Addr).Listen(kestrel, endpoint =>
        {
            // HTTP/2 is agreed upon during the TLS handshake; without TLS there is none.
            endpoint.Protocols = http.Tls.Certificate is null || http.Http2.Disabled ? HttpProtocols.Http1 : HttpProtocols.Http1AndHttp2;
            if (http.Tls.Certificate is not null)
                HttpsEndpoint.Use(endpoint, http.Tls);
        });
        if (http.Debug.Addr is { } debug)
            ListenAddress.Parse(debug).Listen(kestrel, endpoint => endpoint.Protocols = HttpProtocols.Http1);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "configuration: {Warning}")]
    private static partial void LogWarning(ILogger logger, string warning);

    [LoggerMessage(Level = LogLevel.Information, Message = "listening on {Addresses}; upstream: {Upstream}; storage: {Storage}")]
    private static partial void LogReady(ILogger logger, string addresses, string upstream, string storage);
}
