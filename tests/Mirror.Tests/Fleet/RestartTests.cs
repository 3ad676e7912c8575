using System.Collections.Concurrent;
using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.Stores;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>Replicas that are restarted while clients pull through nginx, set up as in <c>deploy/fleet/nginx.conf</c>.</summary>
public abstract class RestartTests(StoreKind? kind) : FleetOfHub(kind)
{
    protected override MirrorSettings Settings(int replica)
    {
        var settings = base.Settings(replica);
        return settings with
        {
            Environment = new Dictionary<string, string>(settings.Environment!) { ["REGISTRY_FLEET_LEAVE"] = "1s" },
        };
    }

    [Fact]
    public async Task All_three_are_restarted_one_after_the_other_and_no_request_fails()
    {
        Availability.Of("nginx").OrSkip();
        var images = Enumerable.Range(0, 400).Select(i => Hub.AddImage(Repository, $"t{i}", HubBlob.Seeded(100 + i, 256 * 1024))).ToArray();
        Hub.PullLimit = null;
        await using var nginx = await Nginx.StartAsync(Replicas);
        using var done = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var failures = new ConcurrentQueue<string>();
        var pulls = 0;
        var clients = Enumerable.Range(0, 8).Select(async client =>
        {
            while (!done.IsCancellationRequested)
            {
                // Uncached and stored images, in the same order for all clients.
                var pull = Interlocked.Increment(ref pulls);
                var i = pull / 4 % images.Length;
                try
                {
                    using var manifest = await Http.Client.GetAsync(new Uri(nginx.Url, $"/v2/{ManifestPath($"t{i}")}"), Cancel);
                    var bytes = await manifest.Content.ReadAsByteArrayAsync(Cancel);
                    if (!manifest.IsSuccessStatusCode || !bytes.SequenceEqual(images[i].Bytes))
                        failures.Enqueue($"manifest {i}: {manifest.StatusCode}");
                    using var blob = await PullAsync(nginx.Url, images[i].Layers[0].Digest);
                    if (!blob.IsSuccessStatusCode || images[i].Layers[0].Digest != await DigestOfAsync(blob))
                        failures.Enqueue($"blob {i}: {blob.StatusCode}");
                }
                catch (Exception failure) when (failure is HttpRequestException or IOException)
                {
                    failures.Enqueue($"{i}: {failure.Message}");
                }
            }
        }).ToArray();

        foreach (var replica in Replicas)
        {
            var before = pulls;
            await Until.TrueAsync(() => pulls > before + 20, () => "No client pulls.");
            await replica.StopAsync();
            await replica.StartAgainAsync();
        }
        await done.CancelAsync();
        await Task.WhenAll(clients);

        Assert.Empty(failures);
        Assert.True(pulls > 60, $"{pulls} pulls");
    }

    private sealed class Nginx : IAsyncDisposable
    {
        private readonly TempFolder _folder = new();
        private PeerProcess? _process;

        public Uri Url { get; } = new($"http://127.0.0.1:{Ports.Free()}");

        public static async Task<Nginx> StartAsync(IReadOnlyList<MirrorProcess> replicas)
        {
            var nginx = new Nginx();
            var text = await File.ReadAllTextAsync(Path.Combine(Top(), "deploy", "fleet", "nginx.conf"), Cancel);
            foreach (var (i, replica) in replicas.Index())
                text = text.Replace($"mirror-{i + 1}:5000", replica.Authority, StringComparison.Ordinal);
            text = text.Replace("listen 5000", $"listen {nginx.Url.Authority}", StringComparison.Ordinal);
            var folder = nginx._folder.Path;
            var paths = string.Concat(
                new[] { "client_body", "proxy", "fastcgi", "uwsgi", "scgi" }.Select(name => $"{name}_temp_path {folder}/{name};\n"));
            text = text.Replace("http {", $"http {{\n{paths}", StringComparison.Ordinal);
            text = $"daemon off;\npid {folder}/pid;\nerror_log stderr;\n{text}";
            nginx._process = PeerProcess.Start("nginx", ["-p", folder, "-c", nginx._folder.Write("nginx.conf", text)]);
            await nginx._process.UntilAnswersAsync(new Uri(nginx.Url, "/v2/"));
            return nginx;
        }

        public async ValueTask DisposeAsync()
        {
            if (_process is not null)
                await _process.DisposeAsync();
            _folder.Dispose();
        }

        // tests/Mirror.Tests/bin/<configuration>/<framework>/
        private static string Top() => new DirectoryInfo(AppContext.BaseDirectory).Parent!.Parent!.Parent!.Parent!.Parent!.FullName;
    }
}

public sealed class RestartOverAFolderTests() : RestartTests(null)
{
    [Fact]
    public async Task Readiness_says_no_while_requests_are_still_taken()
    {
        var image = Hub.AddImage(Repository, "latest");
        (await Replicas[0].GetAsync(ManifestPath("latest"))).Dispose();
        Assert.Equal(HttpStatusCode.OK, await ProbeAsync("ready"));
        var stopping = Replicas[0].StopAsync();
        await Until.TrueAsync(async () => await ProbeAsync("ready") == HttpStatusCode.ServiceUnavailable, () => "Readiness never said no.");
        Assert.Equal(HttpStatusCode.OK, await ProbeAsync("live"));
        using var response = await Replicas[0].GetAsync(ManifestPath(image.Digest));
        Assert.Equal(image.Bytes, await response.Content.ReadAsByteArrayAsync(Cancel));
        await stopping;
    }

    private async Task<HttpStatusCode> ProbeAsync(string probe)
    {
        using var response = await Http.Client.GetAsync(new Uri(Replicas[0].Debug, $"/debug/{probe}"), Cancel);
        return response.StatusCode;
    }
}

public sealed class RestartOverABucketTests() : RestartTests(StoreKind.S3)
{
    protected override bool IsInSample(string test) => false;
}

public sealed class RestartOverAzureTests() : RestartTests(StoreKind.Azure)
{
    protected override bool IsInSample(string test) => false;
}

public sealed class RestartOverSwiftTests() : RestartTests(StoreKind.Swift)
{
    protected override bool IsInSample(string test) => false;
}
