using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>What can be made again goes away at any moment, while clients pull and push: the rest is right without it.</summary>
public sealed class DerivedDataTests
{
    private static readonly TimeSpan Length = TimeSpan.FromSeconds(Figures.Count(3, 120));

    [Fact]
    public async Task Without_index_redis_events_and_spools_nothing_is_lost_and_nothing_wrong_is_sent()
    {
        MirrorProcess.Availability.OrSkip();
        RedisProcess.Availability.OrSkip();
        await using var redis = await RedisProcess.StartAsync();
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            TagsCacheTtl = "0",
            // The receiver of the events does not listen, so that they wait.
            More = $$"""
                redis:
                  addr: {{redis.Address}}
                  readtimeout: 1s
                notifications:
                  endpoints:
                    - {name: away, url: "http://127.0.0.1:{{Ports.Free()}}/", backoff: 1s}

                """,
            Environment = new Dictionary<string, string> { ["REGISTRY_HTTP_SECRET"] = "of the test" },
        });
        var clients = new LawfulClients(mirror, hub);
        var losses = 0;
        using (var over = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken))
        {
            over.CancelAfter(Length);
            await Task.WhenAll(clients.WorkAsync(1, over.Token), LoseAsync(over.Token));
        }
        await clients.AssertNothingLostAsync();
        // A new process makes again what it needs.
        await mirror.KillAsync();
        await LoseOneAsync(0);
        await mirror.StartAgainAsync();
        await clients.AssertNothingLostAsync();
        Assert.Equal(0, (await mirror.RunAsync("verify")).Code);
        Figures.Report($"{losses} losses of derived data in {Length.TotalSeconds} s: {clients.Figures}");

        async Task LoseAsync(CancellationToken over)
        {
            for (var random = Figures.Random(16); !over.IsCancellationRequested; losses++)
            {
                await LoseOneAsync(random.Next(4));
                await Task.Delay(random.Next(60), CancellationToken.None);
            }
        }

        async Task LoseOneAsync(int which)
        {
            if (which == 0)
                foreach (var file in Directory.GetFiles(Path.Combine(mirror.Root, "mirror"), "images.db*"))
                    File.Delete(file);
            else if (which == 1)
                await redis.DoAsync("FLUSHALL");
            else
                DeleteFiles(which == 2 ? RegistryLayout.Notifications : RegistryLayout.Fills);
        }

        void DeleteFiles(string folder)
        {
            try
            {
                foreach (var file in Directory.GetFiles(Path.Combine(mirror.Root, folder), "*", SearchOption.AllDirectories))
                    File.Delete(file);
            }
            catch (DirectoryNotFoundException)
            {
                // It was not made yet, or has gone meanwhile.
            }
        }
    }
}
