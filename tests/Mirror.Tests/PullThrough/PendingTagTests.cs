using System.Net;
using Microsoft.AspNetCore.Http.Features;
using Mirror.Tests.Peers;
using Mirror.Tests.Stores;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>A tag whose manifest is stored by another request than the one that checked the tag.</summary>
public sealed class PendingTagTests
{
    private const string Repository = "library/nginx";

    [Fact]
    public async Task The_tag_names_the_manifest_that_was_stored_after_the_check_had_missed_it()
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var store = await RemoteStore.OpenOrSkipAsync(StoreKind.Gcs);
        await using var hub = await ScriptedHub.StartAsync();
        using var scratch = new TempFolder();
        var image = hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            Driver = $"{store.Driver}    scratchdirectory: {scratch.Path}\n",
        });

        // 1. A client asks for the tag. The check has not found the manifest in the store, and is now looking what the tag named before.
        using var goOn = new ManualResetEventSlim();
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var hasLooked = false;
        hub.Script(
            request => request is { Asked: Asked.Manifest, Method: "HEAD" } && request.Path.EndsWith("/latest", StringComparison.Ordinal),
            Answer.After(() => store.Faults.Set(request =>
            {
                var target = Uri.UnescapeDataString(request.HttpContext.Features.Get<IHttpRequestFeature>()!.RawTarget);
                if (target.Contains($"revisions/sha256/{image.Digest.Hex}/link", StringComparison.Ordinal))
                    Volatile.Write(ref hasLooked, true);
                if (Volatile.Read(ref hasLooked) && target.Contains("tags/latest/current/link", StringComparison.Ordinal))
                {
                    held.TrySetResult();
                    goOn.Wait(cancel);
                }
                return null;
            })));
        try
        {
            var byTag = mirror.HeadAsync($"{Repository}/manifests/latest");
            await held.Task.WaitAsync(cancel);

            // 2. Another client stores the manifest by its digest.
            using (var byDigest = await mirror.GetAsync($"{Repository}/manifests/{image.Digest}"))
                Assert.Equal(HttpStatusCode.OK, byDigest.StatusCode);
            goOn.Set();
            using var head = await byTag;
            Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        }
        finally
        {
            goOn.Set();
            store.Faults.Clear();
        }

        // 3. While upstream is away, the stored tags are listed.
        await hub.Registry.TakeDownAsync();
        await AssertLatestIsStoredAsync(mirror);
    }

    [Fact]
    public async Task A_tag_that_is_answered_from_an_earlier_check_is_stored_if_another_server_stored_the_manifest()
    {
        MirrorProcess.Availability.OrSkip();
        await using var hub = await ScriptedHub.StartAsync();
        var image = hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        await using var first = await MirrorProcess.StartAsync(hub.Url);
        await using var second = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = hub.Url, Root = first.Root });
        using (var head = await first.HeadAsync($"{Repository}/manifests/latest"))
            Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        using (var byDigest = await second.GetAsync($"{Repository}/manifests/{image.Digest}"))
            Assert.Equal(HttpStatusCode.OK, byDigest.StatusCode);
        using (var again = await first.HeadAsync($"{Repository}/manifests/latest"))
            Assert.Equal(CacheAnswer.Hit, CacheAnswer.Of(again));

        await hub.Registry.TakeDownAsync();
        await AssertLatestIsStoredAsync(second);
    }

    [Fact]
    public async Task A_tag_does_not_move_back_to_the_manifest_of_an_earlier_check()
    {
        MirrorProcess.Availability.OrSkip();
        await using var hub = await ScriptedHub.StartAsync();
        var before = hub.AddImage(Repository, "latest", HubBlob.Seeded(1, 1000));
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings { Upstream = hub.Url, TagsCacheTtl = "0" });
        using (var head = await mirror.HeadAsync($"{Repository}/manifests/latest"))
            Assert.Equal(HttpStatusCode.OK, head.StatusCode);
        var now = hub.AddImage(Repository, "latest", HubBlob.Seeded(2, 1000));
        foreach (var reference in new[] { "latest", before.Digest.ToString() })
            using (var manifest = await mirror.GetAsync($"{Repository}/manifests/{reference}"))
                Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);

        await hub.Registry.TakeDownAsync();
        using var stale = await mirror.GetAsync($"{Repository}/manifests/latest");
        Assert.Equal(now.Bytes, await stale.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
    }

    private static async Task AssertLatestIsStoredAsync(MirrorProcess mirror)
    {
        using var tags = await mirror.GetAsync($"{Repository}/tags/list");
        Assert.Equal(HttpStatusCode.OK, tags.StatusCode);
        Assert.Contains("\"latest\"", await tags.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }
}
