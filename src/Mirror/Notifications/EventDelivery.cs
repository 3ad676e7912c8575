namespace Mirror.Notifications;

/// <summary>Sends the queued events, to all endpoints at the same time: a slow endpoint delays no other.</summary>
internal sealed class EventDelivery(EventEndpoint[] endpoints) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(endpoints.Select(endpoint => Task.Run(() => endpoint.DeliverAsync(stoppingToken), stoppingToken)));
}
