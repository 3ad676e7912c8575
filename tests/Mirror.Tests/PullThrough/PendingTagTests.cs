using System.Net;
using Microsoft.AspNetCore.Http.Features;
using Mirror.Tests.Peers;
using Mirror.Tests.Stores;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

/// <summary>A tag whose manifest another request stores while the tag is being checked.</summary>
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
        using var tags = await mirror.GetAsync($"{Repository}/tags/list");
        Assert.Equal(HttpStatusCode.OK, tags.StatusCode);
        Assert.Contains("\"latest\"", await tags.Content.ReadAsStringAsync(cancel));
    }
}
