namespace Mirror.Notifications;

/// <summary>Sends what waits, each endpoint at its own speed.</summary>
internal sealed class EventDelivery(EventEndpoint[] endpoints) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(endpoints.Select(endpoint => Task.Run(() => endpoint.DeliverAsync(stoppingToken), stoppingToken)));
}
