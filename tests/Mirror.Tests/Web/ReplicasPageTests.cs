using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Web;

/// <summary>What the pages of one of several replicas show.</summary>
public sealed class ReplicasPageTests
{
    [Fact]
    public async Task The_overview_lists_the_replicas_that_are_there()
    {
        MirrorProcess.Availability.OrSkip();
        RedisProcess.Availability.OrSkip();
        await using var redis = await RedisProcess.StartAsync();
        var settings = new MirrorSettings
        {
            Environment = new Dictionary<string, string> { ["REGISTRY_HTTP_SECRET"] = "hush" },
            More = $"redis: {{addr: \"{redis.Address}\", readtimeout: 1s}}\n",
        };
        await using var other = await MirrorProcess.StartAsync(settings);
        await using var mirror = await MirrorProcess.StartAsync(settings with { Root = other.Root });

        using var admin = new Browser(mirror.Debug, mirror.AdminLogin);
        await Until.TrueAsync(
            async () =>
            {
                var page = await admin.PageAsync("");
                return page.Contains($">{mirror.Url} (this one)</td>", StringComparison.Ordinal)
                    && page.Contains($">{other.Url}</td>", StringComparison.Ordinal);
            },
            () => string.Join('\n', mirror.Log));
    }
}
