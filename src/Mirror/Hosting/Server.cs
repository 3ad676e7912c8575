using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;
using Mirror.Access;
using Mirror.Admin;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Health;
using Mirror.Limits;
using Mirror.Maintenance;
using Mirror.Notifications;
using Mirror.PullThrough;
using Mirror.Redirects;
using Mirror.Registry;
using Mirror.Search;
using Mirror.Storage;
using Mirror.Storage.Disk;
using Mirror.Telemetry;
using Mirror.Telemetry.Hooks;
using Mirror.Tls.Acme;
using Mirror.Web;

namespace Mirror.Hosting;

/// <summary>Puts the server together and runs it.</summary>
public static partial class Server
{
    // The kernel caps this at net.core.somaxconn (default 4096).
    private const int MaxWaitingConnections = 4096;

    // Clients that unpack while they download read in bursts, and may pause this long.
    private static readonly TimeSpan MaxPause = TimeSpan.FromMinutes(1);

    private static readonly UTF8Encoding LenientUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: false);

    /// <summary>Serves until <paramref name="cancellationToken"/> is cancelled or a signal stops the process.</summary>
    /// <param name="configuration">A configuration without errors.</param>
    /// <param name="read">Reads the configuration again, from where it came from.</param>
    /// <param name="dropRoot">Whether a process of root switches to the owner of its storage after it has read its key files.</param>
    /// <exception cref="IOException">The server cannot start: an address is in use, or a file cannot be read or written.</exception>
    public static async Task RunAsync(
        MirrorConfiguration configuration, Func<MirrorConfiguration> read, bool dropRoot, CancellationToken cancellationToken)
    {
        var options = configuration.Options;
        // An empty builder: the framework would read and watch its own configuration files in the current folder.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        SetUpKestrel(builder.WebHost, options.Http);
        AddServices(builder, configuration);
        builder.Services
            .AddSingleton(provider => ActivatorUtilities.CreateInstance<SettingsReload>(provider, configuration, read))
            .AddSingleton(provider => new ConfigurationInForce(() => provider.GetRequiredService<SettingsReload>().Current))
            .AddSingleton(provider => new Reload(provider.GetRequiredService<SettingsReload>().Run));
        // If a start fails, the command says why in one line, so the host must not add stack traces.
        var started = false;
        builder.Logging.AddFilter(
            "Microsoft.Extensions.Hosting.Internal.Host", level => level >= LogLevel.Warning && Volatile.Read(ref started));
        await using var app = builder.Build();
        var hooks = app.Services.GetService<LogHooks>();
        hooks?.Log = app.Services.GetRequiredService<ILogger<LogHooks>>();
        try
        {
            // Reading the settings of the listeners reads the key files.
            _ = app.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value;
            _ = app.Services.GetRequiredService<IAccess>();
            var certificates = app.Services.GetService<CertificateFolder>();
            var fileWarnings = SettingFiles.Warnings(options).ToList();
            if (dropRoot)
                RootPrivileges.DropTo(options.Storage.LocalDirectory, certificates?.Folder);
            if (!options.Storage.Maintenance.ReadOnly.Enabled)
                WritableFolder.Require(options.Storage.LocalDirectory);
            if (certificates is not null)
                WritableFolder.Require(certificates.Folder, "folder of http.tls.letsencrypt.cachefile", certificates.Create);
            app.Services.GetRequiredService<AdminToken>().Prepare();
            SetUpPipeline(app, options);
            if (app.Services.GetService<SearchIndexing>() is { } search)
                app.Services.GetRequiredService<ChangedRepositories>().Noted += search.Note;

            var reload = app.Services.GetRequiredService<SettingsReload>();
            LogConfiguration(app.Logger, configuration.Source);
            foreach (var warning in configuration.Warnings)
                LogWarning(app.Logger, configuration.Source, warning);
            if (configuration.Old is not null)
                LogOld(app.Logger, configuration.Source);
            foreach (var warning in fileWarnings.Concat(AccessSummary.Warnings(options)))
                LogSettingWarning(app.Logger, warning);
            if (app.Services.GetService<UnreadableFolders>() is { } unreadable)
                unreadable.Found += folder => LogUnreadable(app.Logger, folder);
            using var unreadableRequests = UnreadableRequests.Report(app.Services);
            await ListenAsync(app, options.Http, cancellationToken);
            Volatile.Write(ref started, true);
            using var stopping = app.Lifetime.ApplicationStopping.Register(
                () => LogStopping(app.Logger, options.Http.DrainTimeout.TotalSeconds));
            SighupSignal.Act(() => reload.Run());
            UserSignals.Report(app.Logger);
            LogReady(app.Logger, string.Join(", ", app.Urls), Upstreams(options.Proxy), options.Storage.Location);
            LogAccess(app.Logger, AccessSummary.Of(options));
            await app.WaitForShutdownAsync(cancellationToken);
            ThrowIfWorkFailed(app.Services);
        }
        catch (Exception failure)
        {
            hooks?.Ended(failure);
            throw;
        }
        LogStopped(app.Logger);
    }

    // An exception that leaves a background service stops the host as a signal does. With another exit code, systemd and Docker start the
    // server again.
    internal static void ThrowIfWorkFailed(IServiceProvider services)
    {
        foreach (var work in services.GetServices<IHostedService>().OfType<BackgroundService>())
            if (work.ExecuteTask is { IsFaulted: true, Exception.InnerException: { } failure })
                throw new InvalidOperationException($"The background work {work.GetType().Name} failed: {failure.Message}", failure);
    }

    private static async Task ListenAsync(WebApplication app, HttpOptions http, CancellationToken cancellationToken)
    {
        http.Listen.RemoveStaleSocket();
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch (IOException failure) when (failure.InnerException is AddressInUseException)
        {
            var isDebug = http.Debug.Addr is { } second && ListenAddress.Parse(second).Port is var port
                && failure.Message.Contains(port == http.Listen.Port ? $"/{second}:" : $":{port}:", StringComparison.Ordinal);
            throw new IOException(
                $"cannot listen on {(isDebug ? $"http.debug.addr {http.Debug.Addr}" : $"http.addr {http.Addr}")}: {failure.Message}",
                failure);
        }
        // Of all failures to listen, only a port that is taken has its address in the message.
        catch (SocketException failure)
        {
            var debug = http.Debug.Addr is { } addr ? $" and http.debug.addr {addr}" : "";
            throw new IOException($"cannot listen on http.addr {http.Addr}{debug}: {failure.Message}", failure);
        }
    }

    private static string Upstreams(ProxyOptions proxy) => proxy.HasUpstream
        ? string.Join(", ", proxy.AllUpstreams().Select(upstream => $"{upstream.PathName} ({upstream.Options.RemoteUrl})"))
        : "none, a plain registry";

    private static void SetUpKestrel(ConfigureWebHostBuilder host, HttpOptions http)
    {
        host.UseKestrelCore();
        // Write responses on the thread that produced them. "Unsafe" refers to blocking other connections, which happens only if
        // DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS is set as well.
        host.UseSockets(sockets =>
        {
            sockets.UnsafePreferInlineScheduling = true;
            // New connections wait in the kernel's queue while there is no place. A short queue drops those that come last.
            sockets.Backlog = MaxWaitingConnections;
            // Kestrel's own limit of a request's buffer holds for TLS and HTTP/2 only.
            sockets.MaxReadBufferSize = DocumentMemory.MaxWaiting;
        });
        if (http.Tls.IsOn)
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
        // A header may have bytes that are not UTF-8 (RFC 9110, 5.5), such as a user's name in Latin-1 that a proxy adds.
        kestrel.RequestHeaderEncodingSelector = static _ => LenientUtf8;
        // If the request line names another host than the header Host, the request line counts (RFC 9112, 3.2.2).
        kestrel.AllowHostHeaderOverride = true;
        // Front ends add headers of their own. All headers together have 32 KiB at most.
        kestrel.Limits.MaxRequestHeaderCount = 1000;
        kestrel.Limits.MaxRequestLineSize = kestrel.Limits.MaxRequestHeadersTotalSize;
        // A layer may have any size. The code that reads manifests has its own limit.
        kestrel.Limits.MaxRequestBodySize = null;
        kestrel.Limits.MaxRequestBufferSize = DocumentMemory.MaxWaiting;
        // RequestBody has http.idle_timeout instead: a rate from the start of a request would cut builders that open requests early.
        kestrel.Limits.MinRequestBodyDataRate = null;
        // Drop a client that takes less than 240 bytes/s on average, after its first minute.
        kestrel.Limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: MaxPause);
    }

    private static void Listen(KestrelServerOptions kestrel, HttpOptions http)
    {
        http.Listen.Listen(kestrel, Listener.Registry, endpoint =>
        {
            endpoint.Use(NormalizePeerAddress);
            endpoint.Use(endpoint.ApplicationServices.GetRequiredService<ClientConnections>().Around);
            // Client and server agree on HTTP/2 during the TLS handshake, so plain HTTP has HTTP/1.1 only.
            var isHttp1Only = !http.Tls.IsOn || http.Http2.Disabled;
            endpoint.Protocols = isHttp1Only ? HttpProtocols.Http1 : HttpProtocols.Http1AndHttp2;
            if (http.Tls.IsOn)
                HttpsEndpoint.Use(endpoint);
            endpoint.Use(PacedFrames.Around);
            Http10Requests.Accept(endpoint, FirstMessages.TlsOnPlainPort(endpoint));
        });
        if (http.Debug.Addr is { } debug)
            ListenAddress.Parse(debug).Listen(kestrel, Listener.Debug, endpoint => endpoint.Protocols = HttpProtocols.Http1);
        kestrel.ListenForHttp01(http.Tls.LetsEncrypt);
    }

    // A dual-stack socket reports IPv4 addresses as IPv6: ::ffff:10.0.0.1. Logs and rules have 10.0.0.1. The peer at a Unix socket has no
    // address: it is on this machine.
    private static ConnectionDelegate NormalizePeerAddress(ConnectionDelegate next) => connection =>
    {
        if (connection.RemoteEndPoint is UnixDomainSocketEndPoint or null)
            connection.RemoteEndPoint = new IPEndPoint(IPAddress.Loopback, 0);
        else if (connection.RemoteEndPoint is IPEndPoint { Address.IsIPv4MappedToIPv6: true } peer)
            connection.RemoteEndPoint = new IPEndPoint(peer.Address.MapToIPv4(), peer.Port);
        return next(connection);
    };

    private static void AddServices(WebApplicationBuilder builder, MirrorConfiguration configuration)
    {
        var (services, options) = (builder.Services, configuration.Options);
        ResponseMemoryPool.Use(services);
        services.AddSingleton<SocketTransportFactory>();
        services.AddSingleton(_ => new ClientConnections(OpenFiles.DownloadsOfAny(options.Proxy.AllUpstreams().Count)));
        services.AddSingleton<IConnectionListenerFactory, PacedListeners>();
        var shutdown = options.Http.DrainTimeout.ForTimer + ShutdownDelay.TimeOf(options);
        services.Configure<HostOptions>(host => host.ShutdownTimeout = shutdown.ForTimer);
        services.AddSingleton(TimeProvider.System);
        services.AddMirrorOptions(options);
        // For the clients that have no handler of their own, such as those of the exporters of OpenTelemetry.
        services.ConfigureHttpClientDefaults(static clients => clients.UseSocketsHttpHandler(
            static (handler, _) =>
            {
                handler.ConnectCallback = HappyEyeballs.ConnectAsync;
                ProxyLogin.AddToTunnels(handler);
            }));
        builder.AddTelemetry(options.Log, options.Http.Debug, options.Reporting.NewRelic);
        if (options.Http.Tls.IsOn)
            HandshakeFailures.Hear(builder.Logging);
        services.AddLogHooks(options.Log, options.Reporting);
        services.AddDebugEndpoints(options.Http.Debug);
        services.AddStorage(options.Storage);
        services.AddHealth(options.Health);
        services.AddLetsEncrypt(options.Http.Tls.LetsEncrypt);
        services.AddFleet(options);
        services.AddRepositories(options.Proxy);
        services.AddAccess(options);
        services.AddRedirects();
        services.AddSearch(options.Search);
        services.AddRegistry(configuration.Old);
        services.AddAdmin(options);
        services.AddPages(options.Ui);
        services.AddMaintenance(options.Storage, options.Proxy);
        services.AddNotifications(options);
    }

    private static void SetUpPipeline(WebApplication app, MirrorOptions options)
    {
        var http = options.Http;
        app.Use(static next => context =>
        {
            // The answers of every listener have these headers.
            ContentHeaders.SetBrowserProtection(context.Response.Headers);
            return next(context);
        });
        app.Use(UnreadBody.ReadToEnd);
        app.Use(Http10Requests.EndAfterChunks);
        app.MapHttp01(http);
        app.MapAdmin(http);
        if (options.Ui.Enabled == true)
            app.MapPages(http);
        if (http.Debug.Addr is not null)
            app.MapDebug(http.Debug);
        UnsupportedHttpVersion.SubscribeTo(app.Services.GetRequiredService<DiagnosticListener>());
        app.Run(app.Services.GetRequiredService<RegistryPipeline>().InvokeAsync);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "the server may not read the folder {Folder} of its storage, and skips it: give the server's user the right to read it")]
    private static partial void LogUnreadable(ILogger logger, string folder);

    [LoggerMessage(Level = LogLevel.Warning, Message = "configuration: {File}: {Warning}")]
    private static partial void LogWarning(ILogger logger, string file, string warning);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Warning}")]
    private static partial void LogSettingWarning(ILogger logger, string warning);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "{File} is a file of docker-registry 0.x: check-config lists how each key is translated; "
        + "check-config --translate prints a config.yml")]
    private static partial void LogOld(ILogger logger, string file);

    [LoggerMessage(Level = LogLevel.Information, Message = "open to: {Access}")]
    private static partial void LogAccess(ILogger logger, string access);

    [LoggerMessage(Level = LogLevel.Information, Message = "configuration: {File}")]
    private static partial void LogConfiguration(ILogger logger, string file);

    [LoggerMessage(Level = LogLevel.Information, Message = "listening on {Addresses}; upstream: {Upstream}; storage: {Storage}")]
    private static partial void LogReady(ILogger logger, string addresses, string upstream, string storage);

    [LoggerMessage(Level = LogLevel.Information, Message =
        "stopping: no new connections; requests that are being answered have up to {Seconds} s (http.draintimeout)")]
    private static partial void LogStopping(ILogger logger, double seconds);

    [LoggerMessage(Level = LogLevel.Information, Message = "stopped")]
    private static partial void LogStopped(ILogger logger);
}
