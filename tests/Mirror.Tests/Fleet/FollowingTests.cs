using System.Net;
using System.Text;
using Mirror.Fleet;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Fleet;

/// <summary>What the clients of a replica see while it follows another replica's download.</summary>
public sealed class FollowingTests : FleetOfHub
{
    [Theory]
    [InlineData(404)]
    [InlineData(429)]
    [InlineData(503)]
    public async Task Upstreams_answer_to_the_replica_that_downloads_goes_to_all_clients(int status)
    {
        await using var owner = await StartOwnerAsync();
        owner.Answer = http =>
        {
            http.Response.StatusCode = status;
            http.Response.Headers.RetryAfter = "7";
            return Task.CompletedTask;
        };
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(20, MiB));
        await owner.TakeAsync(Redis, Keys.Lease(blob.Digest));
        using var response = await Replicas[0].GetAsync(BlobPath(blob.Digest));
        Assert.Equal(status, (int)response.StatusCode);
        if (status == 429)
            Assert.Equal(TimeSpan.FromSeconds(7), response.Headers.RetryAfter?.Delta);
        Assert.Equal(0, owner.Unsigned);
        Assert.Equal(0, Hub.Log.Count(Asked.BlobBytes));
    }

    [Fact]
    public async Task Bytes_from_another_replica_are_verified()
    {
        await using var owner = await StartOwnerAsync();
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(21, MiB));
        owner.Answer = http =>
        {
            http.Response.ContentLength = blob.Size;
            return http.Response.Body.WriteAsync(new byte[blob.Size], Cancel).AsTask();
        };
        await owner.TakeAsync(Redis, Keys.Lease(blob.Digest));
        using (var wrong = await Replicas[0].GetAsync(BlobPath(blob.Digest)))
            await Assert.ThrowsAnyAsync<Exception>(() => DigestOfAsync(wrong));
        await Redis.DoAsync("DEL", Keys.Lease(blob.Digest));
        using var right = await Replicas[0].GetAsync(BlobPath(blob.Digest));
        Assert.Equal(blob.Digest, await DigestOfAsync(right));
    }

    [Theory]
    [InlineData(500)]
    [LongData(401)]
    [LongData(206)]
    public async Task After_a_senseless_answer_of_a_replica_the_bytes_come_from_upstream(int status)
    {
        await using var owner = await StartOwnerAsync();
        owner.Answer = http =>
        {
            http.Response.StatusCode = status;
            return Task.CompletedTask;
        };
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(22, MiB));
        await owner.TakeAsync(Redis, Keys.Lease(blob.Digest));
        using var response = await Replicas[0].GetAsync(BlobPath(blob.Digest));
        Assert.Equal(blob.Digest, await DigestOfAsync(response));
        Assert.Equal(1, Hub.Log.Count(Asked.BlobBytes));
    }

    [Fact]
    public async Task A_replica_whose_connection_is_cut_costs_no_byte_twice()
    {
        await using var owner = await StartOwnerAsync();
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(23, 4 * MiB));
        owner.Answer = async http =>
        {
            http.Response.ContentLength = blob.Size;
            await http.Response.Body.WriteAsync(blob.Slice(0, 3 * MiB), Cancel);
            await Redis.DoAsync("DEL", Keys.Lease(blob.Digest));
            http.Abort();
        };
        await owner.TakeAsync(Redis, Keys.Lease(blob.Digest));
        using var response = await Replicas[0].GetAsync(BlobPath(blob.Digest));
        Assert.Equal(blob.Digest, await DigestOfAsync(response));
        // Bytes that were in flight when the connection was cut may be lost.
        Assert.InRange(Hub.Log.BodyBytes(blob.Digest), MiB, 4 * MiB - 1);
        Assert.Equal(1, owner.Requests);
    }

    [Fact]
    public async Task A_blob_stored_while_another_replica_held_the_lease_is_not_downloaded_again()
    {
        await using var owner = await StartOwnerAsync();
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(24, MiB));
        owner.Answer = async http =>
        {
            await Redis.DoAsync("DEL", Keys.Lease(blob.Digest));
            using (var other = await Replicas[1].GetAsync(BlobPath(blob.Digest)))
                Assert.Equal(blob.Digest, await DigestOfAsync(other));
            await Replicas[1].UntilStoredAsync(BlobPath(blob.Digest));
            http.Response.StatusCode = 500;
        };
        await owner.TakeAsync(Redis, Keys.Lease(blob.Digest));
        using var response = await Replicas[0].GetAsync(BlobPath(blob.Digest));
        Assert.Equal(blob.Digest, await DigestOfAsync(response));
        Assert.Equal(1, Hub.Log.Count(Asked.BlobBytes));
    }

    [Fact]
    public async Task Twenty_clients_of_one_replica_cost_the_downloading_replica_one_request()
    {
        var (blob, gate, first) = await BeginAsync(Replicas[0]);
        using var whole = first;
        var clients = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Replicas[1].GetAsync(BlobPath(blob.Digest))));
        gate.Open();
        foreach (var client in clients)
        {
            Assert.Equal(CacheAnswer.Joined, CacheAnswer.Of(client));
            Assert.Equal(blob.Digest, await DigestOfAsync(client));
            client.Dispose();
        }
        Assert.Equal(1, await Replicas[1].MetricAsync("mirror_fleet_follows_total"));
        Assert.Equal(blob.Digest, await DigestOfAsync(whole));
        Assert.Equal(blob.Size, Hub.Log.BodyBytes(blob.Digest));
    }

    [Fact]
    public async Task From_the_moment_it_is_stored_each_replica_has_a_blob_without_a_question_to_upstream()
    {
        for (var i = 0; i < 10; i++)
        {
            var blob = Hub.AddBlob(Repository, HubBlob.Seeded(100 + i, 1000));
            var first = PullAsync(Replicas[0].Url, blob.Digest);
            // At once, and not some milliseconds later.
            var file = Path.Combine(Volume.Path, RegistryLayout.BlobData(blob.Digest));
            Assert.True(SpinWait.SpinUntil(() => File.Exists(file), TimeSpan.FromMinutes(1)));

            using var head = await Replicas[1].HeadAsync(BlobPath(blob.Digest));
            Assert.Equal((HttpStatusCode.OK, CacheAnswer.Hit), (head.StatusCode, CacheAnswer.Of(head)));
            using var whole = await Replicas[2].GetAsync(BlobPath(blob.Digest));
            Assert.Equal(CacheAnswer.Hit, CacheAnswer.Of(whole));
            Assert.Equal(blob.Digest, await DigestOfAsync(whole));
            using var downloaded = await first;
            Assert.Equal(blob.Digest, await DigestOfAsync(downloaded));
        }
        Assert.Equal(10, Hub.Log.Count(Asked.BlobBytes));
    }

    [Fact]
    public async Task A_replica_that_cannot_reach_upstream_does_not_fail_clients_with_a_right_of_their_own()
    {
        await using var owner = await StartOwnerAsync();
        var failing = new TaskCompletionSource();
        owner.Answer = async http =>
        {
            await failing.Task;
            http.Response.StatusCode = 503;
        };
        var blob = Hub.AddBlob("library/other", Hub.AddBlob(Repository, HubBlob.Seeded(40, MiB)));
        // It keeps the lease: it tries again, or its clients wait.
        await owner.TakeAsync(Redis, Keys.Lease(blob.Digest));
        var first = Replicas[1].GetAsync(BlobPath(blob.Digest));
        await Until.TrueAsync(() => owner.Requests == 1, () => "The replica does not follow.");
        var second = Replicas[1].GetAsync(BlobPath(blob.Digest, "library/other"));
        await Hub.Log.WhenAskedAsync(r => r.Method == "HEAD");
        failing.SetResult();
        using (var failed = await first)
            Assert.Equal(HttpStatusCode.ServiceUnavailable, failed.StatusCode);
        using (var served = await second)
            Assert.Equal(blob.Digest, await DigestOfAsync(served));
        Assert.Equal(blob.Size, Hub.Log.BodyBytes(blob.Digest));
    }

    private async Task<ScriptedReplica> StartOwnerAsync()
    {
        var owner = new ScriptedReplica(Signature);
        await owner.StartAsync();
        return owner;
    }
}

/// <summary>Replicas that ask their clients for a password.</summary>
public sealed class FollowingBehindPasswordsTests : FleetOfHub
{
    // The password is "secret", at the lowest cost of bcrypt.
    private const string Alice = "alice:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

    protected override MirrorSettings Settings(int replica)
    {
        Volume.Write("htpasswd", Alice);
        var settings = base.Settings(replica);
        var path = Path.Combine(Volume.Path, "htpasswd");
        return settings with { More = $"{settings.More}auth: {{htpasswd: {{realm: fleet, path: {path}}}}}\n" };
    }

    [Fact]
    public async Task A_signature_opens_one_blob_without_a_password_and_nothing_else()
    {
        var blob = Hub.AddBlob(Repository, HubBlob.Seeded(30, 8 * MiB));
        var gate = new Gate();
        Hub.Fault(blob.Digest, BlobFault.StalledAt(2 * MiB, gate));
        using var first = await AskAsync(HttpMethod.Get, 0, BlobPath(blob.Digest), "alice:secret");
        await gate.Reached;
        using var second = await AskAsync(HttpMethod.Get, 1, BlobPath(blob.Digest), "alice:secret");
        Assert.Equal(CacheAnswer.Joined, CacheAnswer.Of(second));
        gate.Open();
        Assert.Equal(blob.Digest, await DigestOfAsync(second));
        Assert.Equal(blob.Digest, await DigestOfAsync(first));
        Assert.Equal(1, Hub.Log.Count(Asked.BlobBytes));

        foreach (var (method, path) in new[]
        {
            ("GET", "_catalog"), ("GET", ManifestPath("latest")), ("GET", $"{Repository}/tags/list"), ("HEAD", BlobPath(blob.Digest)),
            ("DELETE", BlobPath(blob.Digest)), ("POST", "local/app/blobs/uploads/"), ("PUT", "local/app/manifests/latest"),
        })
        {
            using var refused = await AskAsync(new HttpMethod(method), 0, path, null, Signature.Sign(method, $"/v2/{path}"));
            Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        }
        using var other = await AskAsync(HttpMethod.Get, 0, BlobPath(blob.Digest), null, Signature.Sign("GET", "/v2/something/else"));
        Assert.Equal(HttpStatusCode.Unauthorized, other.StatusCode);
    }

    private Task<HttpResponseMessage> AskAsync(HttpMethod method, int replica, string path, string? credential, string? signature = null)
    {
        var request = new HttpRequestMessage(method, new Uri(Replicas[replica].Url, $"/v2/{path}"));
        if (credential is not null)
            request.Headers.Authorization = new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(credential)));
        if (signature is not null)
            request.Headers.TryAddWithoutValidation(ReplicaSignature.Header, signature);
        return Http.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
    }
}
