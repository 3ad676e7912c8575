using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Mirror.Tests.Peers;

namespace Mirror.Tests.Upstream;

/// <summary>One listening port of the hub. Taken down it refuses connections; brought up again it has the same address.</summary>
public sealed class HubOrigin : IAsyncDisposable
{
    private readonly RequestDelegate _handle;
    private readonly string _address;
    private WebApplication? _app;

    internal HubOrigin(string name, string address, RequestDelegate handle)
    {
        _handle = handle;
        Name = name;
        _address = address;
        Url = new Uri($"http://{address}:{Ports.Free()}");
    }

    public string Name { get; }

    public Uri Url { get; }

    /// <summary>Host and port, as in an image name.</summary>
    public string Authority => Url.Authority;

    public async Task BringUpAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(System.Net.IPAddress.Parse(_address), Url.Port);
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
