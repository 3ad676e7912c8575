using System.Diagnostics;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;
using Mirror.Access;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Health;
using Mirror.Limits;
using Mirror.Maintenance;
using Mirror.Notifications;
using Mirror.PullThrough;
using Mirror.Registry;
using Mirror.Storage.Disk;
using Mirror.Telemetry;

namespace Mirror.Hosting;

/// <summary>Puts the server together and runs it.</summary>
public static partial class Server
{
    // Clients that unpack while they download read in bursts, and may pause this long.
    private static readonly TimeSpan MaxPause = TimeSpan.FromMinutes(1);

    /// <summary>Serves until <paramref name="cancellationToken"/> is cancelled or a signal stops the process.</summary>
    /// <param name="warnings">The warnings about the configuration, one line each.</param>
    /// <param name="dropRoot">Whether a process of root runs as the owner of its storage once it has read its key files.</param>
    /// <exception cref="IOException">The server cannot start: an address is in use, or a file cannot be read or written.</exception>
    public static async Task RunAsync(
        MirrorOptions options, IReadOnlyList<string> warnings, bool dropRoot, CancellationToken cancellationToken)
    {
        // An empty builder: the framework would read and watch its own configuration files in the current folder.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        SetUpKestrel(builder.WebHost, options.Http);
        AddServices(builder, options);
        // One line of the command says why a start failed. The host would add stack traces.
        var started = false;
        builder.Logging.AddFilter(
            "Microsoft.Extensions.Hosting.Internal.Host", level => Volatile.Read(ref started) && level >= LogLevel.Warning);
        await using var app = builder.Build();
        if (dropRoot)
        {
            // Reading the settings of the listeners reads the key files.
            _ = app.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value;
            RootPrivileges.DropTo(options.Storage.LocalDirectory);
        }
        if (!options.Storage.Maintenance.ReadOnly.Enabled)
            WritableFolder.Require(options.Storage.LocalDirectory);
        SetUpPipeline(app, options.Http);

        foreach (var warning in warnings)
            LogWarning(app.Logger, warning);
        if (app.Services.GetService<UnreadableFolders>() is { } unreadable)
            unreadable.Found += folder => LogUnreadable(app.Logger, folder);
        await app.StartAsync(cancellationToken);
        Volatile.Write(ref started, true);
        var upstream = options.Proxy.RemoteUrl?.ToString() ?? "none, a plain registry";
        using var stopping = app.Lifetime.ApplicationStopping.Register(
            () => LogStopping(app.Logger, options.Http.DrainTimeout.TotalSeconds));
        LogReady(app.Logger, string.Join(", ", app.Urls), upstream, options.Storage.Location);
        await app.WaitForShutdownAsync(cancellationToken);
        LogStopped(app.Logger);
    }

    private static void SetUpKestrel(ConfigureWebHostBuilder host, HttpOptions http)
    {
        host.UseKestrelCore();
        // Write responses on the thread that produced them. "Unsafe" refers to blocking other connections, which happens only if
        // DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS is set as well.
        host.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
        if (http.Tls.Certificate is not null)
            host.UseKestrelHttpsConfiguration();
        host.ConfigureKestrel(kestrel =>
        {
            SetLimits(kestrel);
            Listen(kestrel, http);
        });
    }

    private static void SetLimits(KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;
        // A layer may have any size. The code that reads manifests has its own limit.
        kestrel.Limits.MaxRequestBodySize = null;
        // Drop a client only after a minute without progress.
        kestrel.Limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: MaxPause);
        // Refuse new connections before file descriptors run out, so that existing clients are still served.
        kestrel.Limits.MaxConcurrentConnections = OpenFiles.MaxConnections;
    }

    private static void Listen(KestrelServerOptions kestrel, HttpOptions http)
    {
        ListenAddress.Parse(http.Addr).Listen(kestrel, endpoint =>
        {
            // Client and server agree on HTTP/2 during the TLS handshake, so plain HTTP has HTTP/1.1 only.
            var isHttp1Only = http.Tls.Certificate is null || http.Http2.Disabled;
            endpoint.Protocols = isHttp1Only ? HttpProtocols.Http1 : HttpProtocols.Http1AndHttp2;
            if (http.Tls.Certificate is not null)
                HttpsEndpoint.Use(endpoint, http.Tls);
        });
        if (http.Debug.Addr is { } debug)
            ListenAddress.Parse(debug).Listen(kestrel, endpoint => endpoint.Protocols = HttpProtocols.Http1);
    }

    private static void AddServices(WebApplicationBuilder builder, MirrorOptions options)
    {
        var services = builder.Services;
        ResponseMemoryPool.Use(services);
        services.Configure<HostOptions>(host => host.ShutdownTimeout = options.Http.DrainTimeout + ShutdownDelay.TimeOf(options));
        services.AddSingleton(TimeProvider.System);
        services.AddMirrorOptions(options);
        builder.AddTelemetry(options.Log, options.Http.Debug);
        services.AddDebugEndpoints(options.Http.Debug);
        services.AddStorage(options.Storage);
        services.AddHealth(options.Health);
        services.AddFleet(options);
        services.AddRepositories(options.Proxy);
        services.AddAccess(options.Auth);
        services.AddRegistry();
        services.AddMaintenance(options.Storage, options.Proxy);
        services.AddNotifications(options);
    }

    private static void SetUpPipeline(WebApplication app, HttpOptions http)
    {
        if (http.Debug.Addr is { } debug)
            app.MapDebug(ListenAddress.Parse(debug), http.Debug);
        UnsupportedHttpVersion.SubscribeTo(app.Services.GetRequiredService<DiagnosticListener>());
        app.Run(app.Services.GetRequiredService<RegistryPipeline>().InvokeAsync);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "this user may not read the folder {Folder} in the storage; it is skipped")]
    private static partial void LogUnreadable(ILogger logger, string folder);

    [LoggerMessage(Level = LogLevel.Warning, Message = "configuration: {Warning}")]
    private static partial void LogWarning(ILogger logger, string warning);

    [LoggerMessage(Level = LogLevel.Information, Message = "listening on {Addresses}; upstream: {Upstream}; storage: {Storage}")]
    private static partial void LogReady(ILogger logger, string addresses, string upstream, string storage);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "stopping: no new connections; requests that are being answered have up to {Seconds} s (http.draintimeout)")]
    private static partial void LogStopping(ILogger logger, double seconds);

    [LoggerMessage(Level = LogLevel.Information, Message = "stopped")]
    private static partial void LogStopped(ILogger logger);
}
