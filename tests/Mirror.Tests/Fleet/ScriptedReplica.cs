using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Tests.Peers;

namespace Mirror.Tests.Fleet;

/// <summary>Another replica that says what a test wants it to say, and knows the secret of all.</summary>
internal sealed class ScriptedReplica : IAsyncDisposable
{
    private readonly FleetSecret _secret = new(new HttpOptions { Secret = FleetOfHub.Secret }, TimeProvider.System);
    private WebApplication? _app;
    private int _requests;

    public Uri Url { get; } = new($"http://127.0.0.1:{Ports.Free()}");

    /// <summary>How it answers a request that comes from a replica.</summary>
    public RequestDelegate Answer { get; set; } = _ => Task.CompletedTask;

    /// <summary>How many came that were no replica's.</summary>
    public int Unproved { get; private set; }

    public int Requests => _requests;

    public async Task StartAsync() => _app = await OwnServer.StartAsync(Url, http =>
    {
        Interlocked.Increment(ref _requests);
        if (!_secret.IsFromReplica(http.Request))
            Unproved++;
        return Answer(http);
    });

    /// <summary>Takes the lease of a digest, for as long as nobody breaks it.</summary>
    public async Task TakeAsync(RedisProcess redis, Digest digest)
    {
        var key = $"mirror:1:fill:{digest}";
        await redis.DoAsync("SET", key, _secret.SealText(key, $"{Url.AbsoluteUri} {Guid.NewGuid():N}"));
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
            await _app.DisposeAsync();
    }
}
