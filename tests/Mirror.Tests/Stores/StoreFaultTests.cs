using System.Net;
using Microsoft.AspNetCore.Http;
using Mirror.Storage;
using Mirror.Tests.Maintenance;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Resilience;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Stores;

/// <summary>Every store that is reached over a network fails in each way, while clients pull and push.</summary>
public sealed class StoreFaultTests
{
    private static readonly int Rounds = Figures.Count(sample: 2, full: 40);
    private static readonly int Images = Figures.Count(sample: 3, full: 40);
    private static readonly string[] Outages =
        Figures.Full ? ["500", "503", "403", "refused", "hanging", "cut", "slow"] : ["403"];

    [Theory]
    [InlineData(StoreKind.S3)]
    [InlineData(StoreKind.Oss)]
    [InlineData(StoreKind.Azure)]
    [InlineData(StoreKind.Gcs)]
    [InlineData(StoreKind.Swift)]
    [InlineData(StoreKind.Glance)]
    [InlineData(StoreKind.GlanceBesideSwift)]
    [InlineData(StoreKind.Elliptics)]
    public async Task Nothing_is_lost_and_nothing_wrong_is_sent_and_the_local_cache_serves_what_it_has(StoreKind kind)
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(kind, sample: StoreKind.Swift);
        using var cache = new TempFolder();
        await using var hub = await ScriptedHub.StartAsync();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = hub.Url,
            TagsCacheTtl = "0",
            Driver = $"{store.Driver}    localcache:\n      path: {cache.Path}\n  redirect: {{disable: true}}\n",
        });
        var clients = new LawfulClients(mirror, hub, Images, store.MoreThanAPart);
        var random = Figures.Random(16);
        store.Faults.Set(request =>
        {
            lock (random)
                return random.NextDouble() < 0.05 ? Some(random) : random.Next(2) == 0 ? store.LateList(request) : null;
        });
        await clients.WorkAsync(Rounds, new CancellationToken(canceled: true));
        await store.MendAsync();
        await clients.AssertNothingLostAsync();
        Figures.Report($"{kind} with 5 % of failing requests and late lists ({store.Faults.Count} faults): {clients.Figures}");

        // No request for it has succeeded, so the local cache does not have it.
        var unread = $"local/kept/blobs/{await store.PutAsync("local/kept", [3])}";
        foreach (var outage in Outages)
        {
            await BeginAsync(outage, store, random);
            await clients.AssertServedAtOnceAsync(outage);
            if (outage is not ("cut" or "slow"))
                await AssertNothingIsTakenForMissingAsync(mirror, store.HasNamesHere, unread, outage);
            await clients.TryAsync(rounds: 2);
            await store.MendAsync();
            await clients.WorkAsync(rounds: 1, new CancellationToken(canceled: true));
            await clients.AssertNothingLostAsync();
            Figures.Report($"{kind}, {outage}: all cached content by tag and by digest at the first request; {clients.Figures}");
        }
        using var read = await mirror.GetAsync(unread);
        Assert.Equal(HttpStatusCode.OK, read.StatusCode);
    }

    [Fact]
    public async Task A_push_succeeds_although_the_answer_to_its_last_request_to_the_bucket_was_lost()
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(StoreKind.S3);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Driver = $"{store.Driver}  redirect: {{disable: true}}\n" });
        var (repository, bytes) = (new PushedRepository(mirror, "local/app"), UploadTests.Bytes(store.MoreThanAPart));
        var completions = 0;
        // Most stores know the upload no more then.
        store.Faults.Set(request => !HttpMethods.IsPost(request.Method) || !request.Query.ContainsKey("uploadId") ? null
            : Interlocked.Increment(ref completions) == 1 ? StoreFault.Lost
            : StoreFault.Status(404));

        Assert.Equal(
            HttpStatusCode.Created, await repository.StatusOfAsync("POST", $"blobs/uploads/?digest={Digest.Of(bytes)}", bytes));

        Assert.Equal(bytes, await repository.BytesAsync($"blobs/{Digest.Of(bytes)}"));
        Assert.True(completions > 1);
    }

    [Theory]
    [InlineData(StoreKind.S3, 507)]
    [LongData(StoreKind.Azure, 507)]
    [InlineData(StoreKind.Gcs, 507)]
    [LongData(StoreKind.Swift, 413)]
    [InlineData(StoreKind.Swift, 507)]
    [LongData(StoreKind.Glance, 413)]
    public async Task A_store_that_is_full_refuses_pushes_with_507_and_serves_what_it_has(StoreKind kind, int status)
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(kind);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Driver = $"{store.Driver}  redirect: {{disable: true}}\n" });
        var image = Pushes.Image(1);
        Assert.True(await Pushes.PushAsync(mirror, "local/app", "1", image.Manifest, image.Blobs));

        store.Faults.Set(request => !HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method)
            && !request.Path.Value!.Contains("token", StringComparison.Ordinal) ? StoreFault.Status(status) : null);
        var repository = new PushedRepository(mirror, "local/app");
        for (byte i = 0; i < 6; i++)
        {
            Assert.Equal(
                HttpStatusCode.InsufficientStorage,
                await repository.StatusOfAsync("POST", $"blobs/uploads/?digest={Digest.Of([i])}", [i]));
            await Pushes.AssertWholeAsync(mirror, "local/app", "1", image.Manifest, image.Blobs);
        }
        await store.MendAsync();
        Assert.Equal(
            HttpStatusCode.Created, await repository.StatusOfAsync("POST", $"blobs/uploads/?digest={Digest.Of([1])}", [1]));
        Assert.DoesNotContain(
            "takes no writes",
            await Http.Client.GetStringAsync(new Uri(mirror.Debug, "/debug/ready"), TestContext.Current.CancellationToken),
            StringComparison.Ordinal);
    }

    [Theory]
    [LongData(StoreKind.S3, 200)]
    [InlineData(StoreKind.S3, 404)]
    [LongData(StoreKind.Azure, 200)]
    [LongData(StoreKind.Azure, 404)]
    [InlineData(StoreKind.Gcs, 404)]
    [InlineData(StoreKind.Swift, 200)]
    [LongData(StoreKind.Swift, 404)]
    public async Task A_page_of_html_from_before_the_store_is_neither_content_nor_an_answer_that_there_is_none(StoreKind kind, int status)
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(kind);
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Driver = $"{store.Driver}  redirect: {{disable: true}}\n" });
        var image = Pushes.Image(1);
        Assert.True(await Pushes.PushAsync(mirror, "local/app", "1", image.Manifest, image.Blobs));
        var unread = $"local/app/blobs/{await store.PutAsync("local/app", [3])}";

        store.Faults.Set(request => request.Path.Value!.Contains("token", StringComparison.Ordinal)
            || request.Path.StartsWithSegments("/auth") ? null : StoreFault.Page(status));
        await AssertNothingIsTakenForMissingAsync(mirror, hasNamesHere: false, unread, $"HTML {status}");
        await store.MendAsync();
        await Until.TrueAsync(
            async () =>
            {
                using var answer = await mirror.GetAsync(unread);
                return answer.StatusCode is HttpStatusCode.OK && await answer.Content.ReadAsByteArrayAsync() is [3];
            },
            () => "The store is back, but it is not used.");
        await Pushes.AssertWholeAsync(mirror, "local/app", "1", image.Manifest, image.Blobs);
    }

    private static async Task BeginAsync(string outage, RemoteStore store, Random random)
    {
        switch (outage)
        {
            case "refused":
                await store.RefuseConnectionsAsync();
                break;
            case "hanging":
                store.Faults.Set(StoreFault.Hang);
                break;
            case "cut":
                store.Faults.Set(_ => StoreFault.CutAfter(Next(200)));
                break;
            case "slow":
                store.Faults.Set(StoreFault.Slow(bytesPerSecond: 20_000));
                break;
            default:
                store.Faults.Set(StoreFault.Status(int.Parse(outage, System.Globalization.CultureInfo.InvariantCulture)));
                break;
        }

        int Next(int most)
        {
            lock (random)
                return random.Next(most);
        }
    }

    private static StoreFault Some(Random random) => random.Next(Figures.Full ? 40 : 39) switch
    {
        < 8 => StoreFault.Status(500),
        < 16 => StoreFault.Status(503),
        < 20 => StoreFault.Status(403),
        < 25 => StoreFault.Reset,
        < 35 => StoreFault.CutAfter(random.Next(1000)),
        < 39 => StoreFault.Slow(1_000_000),
        _ => StoreFault.Hang,
    };

    private static async Task AssertNothingIsTakenForMissingAsync(MirrorProcess mirror, bool hasNamesHere, string unread, string when)
    {
        string[] ofNames = ["local/kept/manifests/unknown", $"local/kept/blobs/{Digest.Of([1])}", "local/kept/tags/list"];
        foreach (var path in hasNamesHere ? [unread] : ofNames.Append(unread))
        {
            using var answer = await mirror.GetAsync(path);
            Assert.Equal((when, path, HttpStatusCode.ServiceUnavailable), (when, path, answer.StatusCode));
        }
        byte[] bytes = [2];
        Assert.Equal(
            HttpStatusCode.ServiceUnavailable,
            await new PushedRepository(mirror, "local/kept").StatusOfAsync("POST", $"blobs/uploads/?digest={Digest.Of(bytes)}", bytes));
    }
}
