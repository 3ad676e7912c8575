using System.Net;
using System.Runtime.Versioning;
using Microsoft.Data.Sqlite;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Mirror.Tests.Stores;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Maintenance;

/// <summary>What fails in the background is logged, and the server goes on.</summary>
public sealed class BackgroundFailureTests
{
    private const string Repository = "library/nginx";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    [SupportedOSPlatform("linux")]
    public async Task A_scratch_folder_of_a_bucket_that_cannot_be_read()
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(StoreKind.Gcs);
        using var scratch = new TempFolder();
        var spools = scratch.Folder("sha256");
        // No system call takes the path of the innermost folder, which has 5000 characters.
        await PeerProcess.RunAsync(
            "perl", ["-e", "chdir shift or die; for (1..20) { mkdir 'x' x 250 or die; chdir 'x' x 250 or die }", spools]);
        try
        {
            await using var mirror = await MirrorProcess.StartAsync(
                new MirrorSettings { Driver = $"{store.Driver}    scratchdirectory: {scratch.Path}\n" });
            await mirror.UntilLoggedAsync(line => line.Contains("check the scratch folder", StringComparison.Ordinal));
            await AssertServesAsync(mirror);
        }
        finally
        {
            await PeerProcess.RunAsync("rm", ["-rf", spools]);
        }
    }

    [Fact]
    public async Task A_list_of_images_with_a_tag_that_is_refused_because_it_is_new()
    {
        MirrorProcess.Availability.OrSkip();
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage(Repository, "new", HubBlob.Seeded(1, 1000));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            TagsCacheTtl = "0",
            More = """
                  policies: [{match: library/*, cooldown: 72h, cooldown_new: hold}]
                  warm:
                    lists:
                    - images: ["library/nginx:new"]
                      every: 1h

                """,
        });
        await mirror.UntilLoggedAsync(line => line.Contains("library/nginx:new of proxy.warm could not be fetched"));
        await AssertServesAsync(mirror);
    }

    [Fact]
    public async Task An_index_of_the_images_with_what_no_server_writes()
    {
        MirrorProcess.Availability.OrSkip();
        await using var hub = await ScriptedHub.StartAsync();
        hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = hub.Url, More = "  warm: {learn: 1}\n" });
        using (var pulled = await mirror.GetAsync($"{Repository}/manifests/latest"))
            Assert.Equal(HttpStatusCode.OK, pulled.StatusCode);
        // The question makes the server write its pulls.
        await mirror.ImagesAsync(list => list.Length == 1);
        await mirror.StopAsync();
        await using (var connection = new SqliteConnection(
            $"Data Source={Path.Combine(mirror.Root, "mirror", "images.db")};Pooling=False"))
        {
            await connection.OpenAsync(Cancel);
            await using var command = connection.CreateCommand();
            command.CommandText = "update pulled set name = 'NO NAME'";
            Assert.NotEqual(0, await command.ExecuteNonQueryAsync(Cancel));
        }
        await mirror.StartAgainAsync();
        await mirror.UntilLoggedAsync(line => line.Contains("the most pulled tags are not known", StringComparison.Ordinal));
        await AssertServesAsync(mirror);
    }

    // The process goes on: one that ends after a failure in the background stops within seconds.
    private static async Task AssertServesAsync(MirrorProcess mirror)
    {
        using var answer = await mirror.GetAsync("");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.DoesNotContain(mirror.Log, line => line.Contains("unhandled exception", StringComparison.OrdinalIgnoreCase));
    }
}
