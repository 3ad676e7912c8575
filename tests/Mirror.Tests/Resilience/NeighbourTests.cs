using System.Net;
using System.Net.Http.Headers;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// Clients of two repositories, of one upstream or of two, that want the same blob at the same time. The first one's upstream refuses,
/// hangs, fails or sends wrong bytes: that is the fate of its own clients only.
/// </summary>
public sealed class NeighbourTests : IAsyncLifetime
{
    private const int MiB = 1024 * 1024;
    private const string First = "o/first";
    private const string Second = "o/second";

    private ScriptedHub _one = null!;
    private ScriptedHub _two = null!;
    private MirrorProcess _mirror = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        (_one, _two) = (await ScriptedHub.StartAsync(), await ScriptedHub.StartAsync());
        _mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Upstream = _one.Url,
            More = $"  upstreams:\n  - {{remoteurl: \"{_two.Url.OriginalString}\", name: two.example}}\n",
        });
    }

    public async ValueTask DisposeAsync()
    {
        if (_mirror is not null)
            await _mirror.DisposeAsync();
        await _one.DisposeAsync();
        await _two.DisposeAsync();
    }

    [Theory]
    [InlineData(true, 404)]
    [InlineData(false, 404)]
    [InlineData(false, 429)]
    [InlineData(true, 503)]
    [InlineData(false, 503)]
    public async Task A_refusal_or_failure_is_for_the_clients_of_its_own_repository(bool isOneUpstream, int status)
    {
        var (blob, hub, path) = AddToSecond(isOneUpstream);
        var gate = new Gate();
        RefuseAt(_one, First, gate, status);
        var refused = _mirror.GetAsync($"{First}/blobs/{blob.Digest}");
        await gate.Reached;
        var served = _mirror.GetAsync(path);
        await hub.Log.WhenAskedAsync(r => r.Method == "HEAD" && IsFor(r, Second));
        gate.Open();
        using (var answer = await refused)
            Assert.Equal(status, (int)answer.StatusCode);
        using (var answer = await served)
            Assert.Equal(blob.Digest, await DigestOfAsync(answer));
        await _mirror.UntilStoredAsync(path);
        using (var again = await _mirror.GetAsync($"{First}/blobs/{blob.Digest}"))
            Assert.Equal(status, (int)again.StatusCode);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_client_that_proves_its_right_while_another_one_is_refused_is_served(bool isOneUpstream)
    {
        var (blob, hub, path) = AddToSecond(isOneUpstream);
        var (refusal, proof) = (new Gate(), new Gate());
        RefuseAt(_one, First, refusal, 404);
        hub.Script(r => r.Method == "HEAD" && IsFor(r, Second), Answer.HeldBy(proof));
        var refused = _mirror.GetAsync($"{First}/blobs/{blob.Digest}");
        await refusal.Reached;
        var served = _mirror.GetAsync(path);
        await proof.Reached;
        refusal.Open();
        using (var answer = await refused)
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        proof.Open();
        using (var answer = await served)
            Assert.Equal(blob.Digest, await DigestOfAsync(answer));
    }

    [Fact]
    public async Task An_upstream_that_does_not_answer_holds_up_its_own_clients_only()
    {
        var blob = AddToBoth(4 * MiB);
        var gate = new Gate();
        _one.Script(r => r.Asked == Asked.Blob, Answer.HeldBy(gate));
        var waiting = _mirror.GetAsync($"{First}/blobs/{blob.Digest}");
        await gate.Reached;
        using (var served = await _mirror.GetAsync($"two.example/{Second}/blobs/{blob.Digest}"))
            Assert.Equal(blob.Digest, await DigestOfAsync(served));
        // Its own upstream has not said yet that it may have the blob.
        Assert.False(waiting.IsCompleted);
        await _mirror.UntilStoredAsync($"two.example/{Second}/blobs/{blob.Digest}");
        gate.Open();
        using var late = await waiting;
        Assert.Equal(blob.Digest, await DigestOfAsync(late));
        Assert.Equal(blob.Size, _two.Log.BodyBytes(blob.Digest));
        Assert.Equal(0, _one.Log.BodyBytes(blob.Digest));
    }

    [Fact]
    public async Task A_repository_that_does_not_answer_holds_up_its_own_clients_only()
    {
        var blob = _one.AddBlob(First, HubBlob.Seeded(2, 4 * MiB));
        _one.AddBlob(Second, blob);
        var gate = new Gate();
        _one.Script(r => r.Asked == Asked.Blob && IsFor(r, First), Answer.HeldBy(gate));
        var waiting = _mirror.GetAsync($"{First}/blobs/{blob.Digest}");
        await gate.Reached;
        using (var served = await _mirror.GetAsync($"{Second}/blobs/{blob.Digest}"))
            Assert.Equal(blob.Digest, await DigestOfAsync(served));
        gate.Open();
        using var late = await waiting;
        Assert.Equal(blob.Digest, await DigestOfAsync(late));
    }

    [Fact]
    public async Task A_download_comes_back_from_a_neighbour_that_hangs()
    {
        var blob = AddToBoth(4 * MiB);
        var (late, never) = (new Gate(), new Gate());
        _one.Script(r => r.Asked == Asked.Blob && r.Method == "GET", Answer.HeldBy(late));
        _two.Script(r => r.Asked == Asked.Blob && r.Method == "GET", Answer.HeldBy(never));
        var first = _mirror.GetAsync($"{First}/blobs/{blob.Digest}");
        await late.Reached;
        var second = _mirror.GetAsync($"two.example/{Second}/blobs/{blob.Digest}");
        await never.Reached;
        late.Open();
        using (var answer = await first)
            Assert.Equal(blob.Digest, await DigestOfAsync(answer));
        using (var answer = await second)
            Assert.Equal(blob.Digest, await DigestOfAsync(answer));
        Assert.Equal(0, _two.Log.BodyBytes(blob.Digest));
        never.Open();
    }

    [Fact]
    public async Task A_neighbour_takes_over_at_once_from_an_upstream_that_cuts_its_bytes()
    {
        var blob = AddToBoth(4 * MiB);
        var gate = new Gate();
        _one.Fault(blob.Digest, BlobFault.ClosedAt(2 * MiB), times: 100);
        _one.Script(r => r.Asked == Asked.BlobBytes && r.Range is not null, Answer.HeldBy(gate));
        using var first = await _mirror.GetAsync($"{First}/blobs/{blob.Digest}");
        await gate.Reached;
        using var second = await _mirror.GetAsync($"two.example/{Second}/blobs/{blob.Digest}");
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(second));
        Assert.Equal(blob.Digest, await DigestOfAsync(first));
        // The first attempt, and one after the cut, whose request is repeated if the connection ends before its headers.
        Assert.InRange(_one.Log.Requests.Count(r => r.Asked == Asked.BlobBytes), 2, 5);
    }

    [Fact]
    public async Task A_joiner_whose_upstream_is_faster_takes_over_behind_the_last_byte()
    {
        var blob = AddToBoth(16 * MiB);
        var gate = new Gate();
        _one.Fault(blob.Digest, BlobFault.StalledAt(4 * MiB, gate));
        _one.Script(r => r.Asked == Asked.BlobBytes && r.Range is not null, Answer.HeldBy(gate));
        using var slow = await _mirror.GetAsync($"{First}/blobs/{blob.Digest}");
        await using var body = await slow.Content.ReadAsStreamAsync(Cancel);
        var bytes = new byte[blob.Size];
        await body.ReadExactlyAsync(bytes.AsMemory(0, 2 * MiB), Cancel);
        await gate.Reached;
        using (var served = await _mirror.GetAsync($"two.example/{Second}/blobs/{blob.Digest}"))
            Assert.Equal(blob.Digest, await DigestOfAsync(served));
        // The slow upstream's client has proved its right, and goes on as well.
        await body.ReadExactlyAsync(bytes.AsMemory(2 * MiB), Cancel);
        Assert.Equal(blob.Digest, Digest.Of(bytes));
        Assert.Equal(4 * MiB, _one.Log.BodyBytes(blob.Digest));
        var range = _two.Log.Requests.First(r => r.Asked == Asked.BlobBytes).Range;
        Assert.InRange(RangeHeaderValue.Parse(range!).Ranges.Single().From!.Value, 2 * MiB, 4 * MiB);
        await _mirror.UntilStoredAsync($"{First}/blobs/{blob.Digest}");
        gate.Open();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_download_that_is_refused_half_way_goes_on_from_the_next_repository(bool isOneUpstream)
    {
        var (blob, hub, path) = AddToSecond(isOneUpstream);
        _one.AddBlob(First, blob);
        var gate = new Gate();
        _one.Fault(blob.Digest, BlobFault.ClosedAt(2 * MiB));
        RefuseAt(_one, First, gate, 404, r => r.Range is not null);
        using var first = await _mirror.GetAsync($"{First}/blobs/{blob.Digest}");
        await gate.Reached;
        using var second = await _mirror.GetAsync(path);
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(second));
        Assert.Equal(blob.Digest, await DigestOfAsync(first));
        Assert.StartsWith("bytes=", hub.Log.Requests.Last(r => r.Asked == Asked.BlobBytes).Range, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Wrong_bytes_that_no_client_got_are_asked_of_the_next_upstream()
    {
        // So short that clients get nothing before the whole is verified.
        var blob = AddToBoth(3000);
        var (gate, next) = (new Gate(), new Gate());
        _one.Fault(blob.Digest, BlobFault.WrongByteAt(1000));
        _one.Script(r => r.Asked == Asked.BlobBytes, Answer.HeldBy(gate));
        _two.Script(r => r.Asked == Asked.BlobBytes && r.Method == "GET", Answer.HeldBy(next));
        var wrong = _mirror.GetAsync($"{First}/blobs/{blob.Digest}");
        await gate.Reached;
        var right = _mirror.GetAsync($"two.example/{Second}/blobs/{blob.Digest}");
        await next.Reached;
        gate.Open();
        await Until.TrueAsync(() => _one.Log.BodyBytes(blob.Digest) > 0, () => "No byte was sent.");
        next.Open();
        using var answer = await right;
        Assert.Equal(blob.Digest, await DigestOfAsync(answer));
        using var first = await wrong;
        Assert.True(first.StatusCode == HttpStatusCode.OK || (int)first.StatusCode >= 500, $"{first.StatusCode}");
    }

    /// <summary>A blob that the second repository has, and the first one lacks.</summary>
    private (HubBlob Blob, ScriptedHub Hub, string Path) AddToSecond(bool isOneUpstream)
    {
        var hub = isOneUpstream ? _one : _two;
        var blob = hub.AddBlob(Second, HubBlob.Seeded(1, 4 * MiB));
        return (blob, hub, $"{(isOneUpstream ? "" : "two.example/")}{Second}/blobs/{blob.Digest}");
    }

    private HubBlob AddToBoth(long size)
    {
        var blob = _one.AddBlob(First, HubBlob.Seeded(2, size));
        return _two.AddBlob(Second, blob);
    }

    /// <summary>Once the gate is open, every request for blobs of the repository gets the status.</summary>
    private static void RefuseAt(ScriptedHub hub, string repository, Gate gate, int status, Func<HubRequest, bool>? when = null) =>
        hub.Script(r => r.Asked == Asked.Blob && IsFor(r, repository) && when?.Invoke(r) != false, Answer.By(async context =>
        {
            await gate.PassAsync(context.RequestAborted);
            context.Response.StatusCode = status;
        }));

    private static bool IsFor(HubRequest request, string repository) =>
        request.Path.StartsWith($"/v2/{repository}/", StringComparison.Ordinal);

    private static async Task<Digest> DigestOfAsync(HttpResponseMessage response)
    {
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return Digest.Of(await response.Content.ReadAsByteArrayAsync(Cancel));
    }
}
