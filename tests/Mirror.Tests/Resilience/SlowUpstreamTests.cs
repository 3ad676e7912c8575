using System.Net;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>An upstream that takes its time, such as a cache that first fetches the image itself.</summary>
public sealed class SlowUpstreamTests : MirrorOfHub
{
    [Fact]
    public async Task Slow_answers_are_waited_for_and_asked_for_once_and_harm_no_other_request()
    {
        var gate = new Gate();
        var slow = Enumerable.Range(0, 8).Select(i => Hub.AddBlob(Repository, HubBlob.Seeded(i, 1000))).ToList();
        foreach (var blob in slow)
            Hub.Script(request => request.Path.EndsWith(blob.Digest.ToString(), StringComparison.Ordinal), Answer.HeldBy(gate));
        var answers = slow.ConvertAll(blob => Mirror.GetAsync(BlobPath(blob.Digest)));
        await gate.Reached.WaitAsync(Cancel);
        // Longer than a connection may take.
        await Task.Delay(TimeSpan.FromSeconds(12), Cancel);
        for (var i = 0; i < 3; i++)
        {
            var quick = Hub.AddBlob(Repository, HubBlob.Seeded(100 + i, 1000));
            using var answer = await Mirror.GetAsync(BlobPath(quick.Digest));
            Assert.Equal(quick.Digest, await DigestOfAsync(answer));
        }
        gate.Open();
        foreach (var (blob, answer) in slow.Zip(await Task.WhenAll(answers)))
            using (answer)
                Assert.Equal(blob.Digest, await DigestOfAsync(answer));
        AssertAskedOnce(slow);
    }

    [Fact]
    public async Task Answers_that_do_not_come_are_given_up_after_response_timeout_and_close_nothing()
    {
        await using var mirror = await MirrorProcess.StartAsync(
            new MirrorSettings { Upstream = Hub.Url, More = "  response_timeout: 10s\n" });
        var silent = Enumerable.Range(0, 8).Select(i => Hub.AddBlob(Repository, HubBlob.Seeded(i, 1000))).ToList();
        foreach (var blob in silent)
            Hub.Script(request => request.Path.EndsWith(blob.Digest.ToString(), StringComparison.Ordinal), Answer.HeldBy(new Gate()));
        foreach (var answer in await Task.WhenAll(silent.Select(blob => mirror.GetAsync(BlobPath(blob.Digest)))))
            using (answer)
                await AssertErrorAsync(HttpStatusCode.ServiceUnavailable, answer);
        AssertAskedOnce(silent);
        var quick = Hub.AddBlob(Repository, HubBlob.Seeded(100, 1000));
        using var other = await mirror.GetAsync(BlobPath(quick.Digest));
        Assert.Equal(quick.Digest, await DigestOfAsync(other));
    }

    // A challenge is answered by the same request with a token.
    private void AssertAskedOnce(List<HubBlob> blobs) => Assert.All(blobs, blob => Assert.Single(
        Hub.Log.Requests,
        request => request.Asked == Asked.Blob && request.Status != 401
            && request.Path.EndsWith(blob.Digest.ToString(), StringComparison.Ordinal)));
}
