using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Mirror.Tests.Peers;

namespace Mirror.Tests.Notifications;

/// <summary>An endpoint that receives events.</summary>
internal sealed class EventReceiver : IAsyncDisposable
{
    private readonly ConcurrentQueue<JsonElement> _events = new();
    private readonly ConcurrentQueue<(string Authorization, string ContentType)> _headers = new();
    private WebApplication? _app;

    public Uri Url { get; } = new($"http://127.0.0.1:{Ports.Free()}/events");

    /// <summary>The status to answer each request with; requests are numbered from 0 on.</summary>
    public Func<int, HttpStatusCode> Answers { get; set; } = _ => HttpStatusCode.OK;

    public int Requests { get; private set; }

    /// <summary>Every event of every request that got a 2xx or 3xx.</summary>
    public IReadOnlyList<JsonElement> Events => [.. _events];

    public IReadOnlyList<(string Authorization, string ContentType)> Headers => [.. _headers];

    public IEnumerable<string> Actions => Events.Select(e => e.GetProperty("action").GetString()!);

    public IEnumerable<string> Digests => Events.Select(e => e.GetProperty("target").GetProperty("digest").GetString()!);

    public async Task StartAsync() => _app = await OwnServer.StartAsync(Url, async http =>
    {
        using var envelope = await JsonDocument.ParseAsync(http.Request.Body, cancellationToken: http.RequestAborted);
        var status = Answers(Requests++);
        http.Response.StatusCode = (int)status;
        if ((int)status is < 200 or >= 400)
            return;
        _headers.Enqueue((http.Request.Headers.Authorization.ToString(), http.Request.Headers.ContentType.ToString()));
        foreach (var one in envelope.RootElement.GetProperty("events").EnumerateArray())
            _events.Enqueue(one.Clone());
    });

    public Task UntilAsync(int events) => Until.TrueAsync(
        () => _events.Count >= events, () => $"{_events.Count} of {events} events came: {string.Join(", ", Actions)}");

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
            await _app.DisposeAsync();
    }
}
