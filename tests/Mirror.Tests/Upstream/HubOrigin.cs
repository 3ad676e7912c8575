using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Mirror.Tests.Peers;

namespace Mirror.Tests.Upstream;

/// <summary>One listening port of the hub. Taken down it refuses connections; brought up again it has the same address.</summary>
public sealed class HubOrigin : IAsyncDisposable
{
    private readonly RequestDelegate _handle;
    private readonly string _address;
    private readonly X509Certificate2? _certificate;
    private WebApplication? _app;

    internal HubOrigin(string name, string address, RequestDelegate handle, X509Certificate2? certificate = null)
    {
        _handle = handle;
        Name = name;
        _address = address;
        _certificate = certificate;
        Url = new Uri($"{(certificate is null ? "http" : "https")}://{address}:{Ports.Free()}");
    }

    public string Name { get; }

    public Uri Url { get; }

    /// <summary>The client certificate that is asked for, over TLS; null asks for none.</summary>
    internal X509Certificate2? OnlyClient { get; set; }

    /// <summary>Host and port, as in an image name.</summary>
    public string Authority => Url.Authority;

    public async Task BringUpAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Parse(_address), Url.Port, listen =>
            {
                if (_certificate is not null)
                    listen.UseHttps(https =>
                    {
                        https.ServerCertificate = _certificate;
                        if (OnlyClient is not { } only)
                            return;
                        https.ClientCertificateMode = ClientCertificateMode.RequireCertificate;
                        https.ClientCertificateValidation = (shown, _, _) => shown.Thumbprint == only.Thumbprint;
                    });
            });
            // A reader may be as slow as the test wants, and so may we.
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Limits.MinRequestBodyDataRate = null;
        });
        // What still hangs when the origin goes down is cut off, as by a machine that died.
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.Zero);
        var app = builder.Build();
        app.Run(_handle);
        await app.StartAsync();
        _app = app;
    }

    /// <summary>Closes every connection; new ones are refused.</summary>
    public async Task TakeDownAsync()
    {
        if (Interlocked.Exchange(ref _app, null) is not { } app)
            return;
        try
        {
            await app.StopAsync();
        }
        catch (OperationCanceledException)
        {
            // Requests were still running: they have been cut off.
        }
        await app.DisposeAsync();
    }

    public async ValueTask DisposeAsync() => await TakeDownAsync();
}
