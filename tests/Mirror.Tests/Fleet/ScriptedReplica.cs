using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Mirror.Fleet;
using Mirror.Tests.Peers;

namespace Mirror.Tests.Fleet;

/// <summary>Another replica of the fleet, which answers as a test wants.</summary>
internal sealed class ScriptedReplica(ReplicaSignature signature) : IAsyncDisposable
{
    private WebApplication? _app;
    private int _requests;

    public Uri Url { get; } = new($"http://127.0.0.1:{Ports.Free()}");

    /// <summary>How it answers a request.</summary>
    public RequestDelegate Answer { get; set; } = _ => Task.CompletedTask;

    /// <summary>How many requests had no valid signature of a replica.</summary>
    public int Unsigned { get; private set; }

    public int Requests => _requests;

    public async Task StartAsync() => _app = await OwnServer.StartAsync(Url, http =>
    {
        Interlocked.Increment(ref _requests);
        if (!signature.IsFromReplica(http.Request))
            Unsigned++;
        return Answer(http);
    });

    /// <summary>Takes the lease of a download, until a test deletes it.</summary>
    /// <param name="key">The lease's key in Redis.</param>
    public Task TakeAsync(RedisProcess redis, string key) =>
        redis.DoAsync("SET", key, signature.SignText(key, $"{Url.AbsoluteUri} {Guid.NewGuid():N}"));

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
            await _app.DisposeAsync();
    }
}
