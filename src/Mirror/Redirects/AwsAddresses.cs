using System.Net;
using System.Text.Json;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Redirects;

/// <summary>
/// The addresses of AWS that <c>middleware.storage</c> is about, from AWS's list, which is loaded now and then. Until it has been loaded
/// once, no address is one of them.
/// </summary>
public sealed partial class AwsAddresses(
    MiddlewareOptions middleware, IHttpClientFactory clients, TimeProvider time, ILogger<AwsAddresses> log) : BackgroundService
{
    /// <summary>The name of its HTTP client.</summary>
    public const string Client = "aws-addresses";

    private const int MaxLength = 32 << 20;

    private static readonly TimeSpan DefaultInterval = TimeSpan.FromHours(12);
    private static readonly TimeSpan RetryAfterFailure = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan TimeLimit = TimeSpan.FromSeconds(30);

    private readonly StorageMiddlewareSettings? _options = middleware.Storage.FirstOrDefault(
        entry => entry is { Disabled: false, Name: "cloudfront", Options.IpFilteredBy: not AwsClients.None })?.Options;

    private NetworkSet _networks = new([]);

    /// <summary>Whether an address belongs to AWS, or to the regions of the settings.</summary>
    public bool Contain(IPAddress address) => Volatile.Read(ref _networks).Contains(address);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_options is null)
            return;
        var interval = _options.UpdateFrequency ?? _options.UpdateFrenquency ?? DefaultInterval;
        while (true)
        {
            var wait = await TryLoadAsync(_options, stoppingToken) ? interval : RetryAfterFailure;
            await Task.Delay(wait.ForTimer, time, stoppingToken);
        }
    }

    private async Task<bool> TryLoadAsync(StorageMiddlewareSettings options, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(TimeLimit, time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            using var client = clients.CreateClient(Client);
            client.MaxResponseContentBufferSize = MaxLength;
            var list = await client.GetByteArrayAsync(options.IpRangesUrl, stop.Token);
            var networks = Read(list, options);
            Volatile.Write(ref _networks, new(networks));
            LogLoaded(networks.Count, options.IpRangesUrl);
            return true;
        }
        catch (Exception failure) when (
            failure is HttpRequestException or JsonException or InvalidOperationException or KeyNotFoundException
            || (failure is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            LogFailed(options.IpRangesUrl, failure.Reason);
            return false;
        }
    }

    private static List<IPNetwork> Read(byte[] list, StorageMiddlewareSettings options)
    {
        var regions = options.IpFilteredBy is AwsClients.AwsRegion
            ? options.AwsRegion!.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .ToHashSet(StringComparer.OrdinalIgnoreCase)
            : null;
        List<IPNetwork> networks = [];
        using var document = JsonDocument.Parse(list);
        foreach (var (name, prefix) in new[] { ("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix") })
            if (document.RootElement.TryGetProperty(name, out var entries))
                foreach (var entry in entries.EnumerateArray())
                    if (entry.TryGetProperty(prefix, out var text) && IPNetwork.TryParse(text.GetString(), out var network)
                        && regions?.Contains(entry.GetProperty("region").GetString() ?? "") != false)
                        networks.Add(network);
        return networks;
    }

    [LoggerMessage(LogLevel.Information,
        "loaded {Count} networks of AWS from {Url}: clients there are sent to the bucket, not to CloudFront")]
    private partial void LogLoaded(int count, Uri url);

    [LoggerMessage(LogLevel.Warning,
        "the addresses of AWS could not be loaded from {Url}: {Reason}. The list of before counts; will try again in a minute")]
    private partial void LogFailed(Uri url, string reason);
}
