using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Configuration;
using Mirror.Notifications;
using Mirror.Telemetry;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Notifications;

public sealed class EventEndpointTests
{
    [Fact]
    public async Task Delivery_goes_on_after_an_unexpected_failure()
    {
        using var folder = new TempFolder();
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var (time, requests) = (new FakeTimeProvider(), 0);
        using var http = new HttpClient(new Answers(() =>
            Interlocked.Increment(ref requests) == 1 ? throw new InvalidOperationException("a fault") : HttpStatusCode.OK));
        using var queue = EventQueue.Open(folder.Path);
        using var endpoint = new EventEndpoint(
            new NotificationEndpointOptions { Name = "spy", Url = new Uri("http://127.0.0.1/"), Timeout = TimeSpan.FromDays(1) },
            queue, http,
            new NotificationMetrics(new MirrorMeter(services.GetRequiredService<IMeterFactory>())), time, NullLogger.Instance);
        endpoint.Enqueue("{}"u8, flush: false);

        using var stop = new CancellationTokenSource();
        var delivery = endpoint.DeliverAsync(stop.Token);
        await Until.TrueAsync(
            () =>
            {
                // The endpoint may begin to wait at any moment.
                time.Advance(TimeSpan.FromSeconds(10));
                return delivery.IsCompleted || queue.Pending == 0;
            },
            () => $"{queue.Pending} event waits after {requests} requests");

        Assert.Equal((false, 2, 0), (delivery.IsCompleted, requests, queue.Pending));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => delivery);
    }

    private sealed class Answers(Func<HttpStatusCode> next) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage(next()));
    }
}
