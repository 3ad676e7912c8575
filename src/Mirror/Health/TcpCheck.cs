using System.Net;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Health;

/// <summary>Fails unless an address accepts a connection: <see cref="TcpHealthOptions"/>.</summary>
internal sealed class TcpCheck(TcpHealthOptions options) : HealthCheck(options.Addr, options)
{
    private readonly ListenAddress _address = ListenAddress.Parse(options.Addr);

    public override TimeSpan TimeLimit => TimeLimitOf(options.Timeout);

    public override async Task<string?> FailureAsync(CancellationToken cancellationToken)
    {
        await using var connection = await HappyEyeballs.ConnectAsync(new DnsEndPoint(_address.Host, _address.Port), cancellationToken);
        return null;
    }
}
