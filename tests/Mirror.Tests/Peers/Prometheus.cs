using System.Globalization;
using System.Text.Json;
using Xunit;

namespace Mirror.Tests.Peers;

/// <summary>Debian's Prometheus, which scrapes these servers as job <c>mirror</c> and answers queries.</summary>
internal sealed class Prometheus : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly PeerProcess _process;
    private readonly Uri _url = new($"http://127.0.0.1:{Ports.Free()}");

    private Prometheus(IEnumerable<string> targets)
    {
        var config = _folder.Write("prometheus.yml", $$"""
            global: {scrape_interval: 3s, scrape_timeout: 3s}
            scrape_configs:
              - job_name: mirror
                static_configs:
                  - targets: [{{string.Join(", ", targets.Select(target => $"\"{target}\""))}}]
            """);
        _process = PeerProcess.Start("prometheus",
        [
            $"--config.file={config}", $"--storage.tsdb.path={_folder.Folder("data")}", $"--web.listen-address={_url.Authority}",
        ]);
    }

    public static Availability Availability => Availability.Of("prometheus", "promtool");

    /// <param name="targets">Host and port of each server; a dead one counts as a replica that is missing.</param>
    public static async Task<Prometheus> StartAsync(params string[] targets)
    {
        var prometheus = new Prometheus(targets);
        await prometheus._process.UntilAsync(async () =>
        {
            try
            {
                using var response = await Http.Client.GetAsync(
                    new Uri(prometheus._url, "/-/ready"), TestContext.Current.CancellationToken);
                return response.IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
        return prometheus;
    }

    /// <summary>The value of each series that the query gives now.</summary>
    /// <exception cref="PeerFailedException">Prometheus does not understand the query.</exception>
    public async Task<IReadOnlyList<double>> QueryAsync(string query)
    {
        using var response = await Http.Client.GetAsync(
            new Uri(_url, $"/api/v1/query?query={Uri.EscapeDataString(query)}"), TestContext.Current.CancellationToken);
        using var answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        if (answer.RootElement.GetProperty("status").GetString() != "success")
            throw new PeerFailedException($"{query}: {answer.RootElement}");
        return [.. answer.RootElement.GetProperty("data").GetProperty("result").EnumerateArray()
            .Select(series => double.Parse(series.GetProperty("value")[1].GetString()!, CultureInfo.InvariantCulture))];
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }
}
