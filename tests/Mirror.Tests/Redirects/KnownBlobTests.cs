using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Stores;
using Xunit;

namespace Mirror.Tests.Redirects;

/// <summary>A client that is redirected to a blob of which another client has just asked.</summary>
public sealed class KnownBlobTests
{
    private const string Repository = "local/app";

    private static readonly byte[] Bytes = [1, 2, 3];

    [Fact]
    public async Task The_next_client_is_redirected_without_a_question_to_the_store_and_not_after_a_deletion()
    {
        await using var store = await RemoteStore.OpenOrSkipAsync(StoreKind.S3);
        using var scratch = new TempFolder();
        var blob = $"{Repository}/blobs/{await store.PutAsync(Repository, Bytes)}";
        var asked = 0;
        store.Faults.Set(_ =>
        {
            Interlocked.Increment(ref asked);
            return null;
        });
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Driver = $"{store.Driver}    scratchdirectory: {scratch.Path}\n",
        });
        // On a busy machine the second client may come when the server has forgotten the first.
        await Until.TrueAsync(
            async () =>
            {
                await LocationAsync();
                var before = Volatile.Read(ref asked);
                await LocationAsync();
                return before == Volatile.Read(ref asked);
            },
            () => "The store is asked each time.");
        Assert.Equal(Bytes, await Http.Client.GetByteArrayAsync(await LocationAsync(), TestContext.Current.CancellationToken));
        // Of another repository nothing is known.
        using (var other = await mirror.GetAsync(blob.Replace(Repository, "local/other", StringComparison.Ordinal)))
            Assert.Equal(HttpStatusCode.NotFound, other.StatusCode);

        using (var deleted = await new PushedRepository(mirror, Repository).SendAsync("DELETE", blob[(Repository.Length + 1)..]))
            Assert.Equal(HttpStatusCode.Accepted, deleted.StatusCode);
        await Until.TrueAsync(
            async () =>
            {
                using var gone = await mirror.GetAsync(blob);
                Assert.True(gone.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.ServiceUnavailable, $"{gone.StatusCode}");
                return gone.StatusCode is HttpStatusCode.NotFound;
            },
            () => "The store does not answer.");

        async Task<Uri> LocationAsync()
        {
            Uri? location = null;
            // On a busy machine the store may answer too late, which is 503.
            await Until.TrueAsync(
                async () =>
                {
                    using var redirect = await mirror.GetAsync(blob);
                    Assert.True(redirect.StatusCode is HttpStatusCode.TemporaryRedirect or HttpStatusCode.ServiceUnavailable);
                    location = redirect.Headers.Location;
                    return location is not null;
                },
                () => "The store does not answer.");
            return location!;
        }
    }

    [Fact]
    public void A_blob_that_another_replica_deletes_is_forgotten_at_once()
    {
        var options = new MirrorOptions();
        var keys = new RedisKeys(new(options.Http), new FleetIdentity(options, NullLogger<FleetIdentity>.Instance));
        using var announcements = new Announcements(keys, TimeProvider.System);
        // No time passes.
        var known = new KnownBlobs(announcements, new FakeTimeProvider());
        var (name, digest, other) = (RepositoryName.Parse(Repository), Digest.Of([1]), Digest.Of([2]));
        var blob = new KnownBlob(new Nowhere(), 1, null);
        known.Add(name, digest, blob, known.Removals);
        known.Add(name, other, blob, known.Removals);
        Assert.Same(blob, known.Find(name, digest));

        var before = known.Removals;
        announcements.Hear($"another {name} {digest}");
        Assert.Null(known.Find(name, digest));
        Assert.Same(blob, known.Find(name, other));
        // A client had asked before, and the store answered that the blob is there.
        known.Add(name, digest, blob, before);
        Assert.Null(known.Find(name, digest));
    }

    private sealed class Nowhere : ILocatedContent
    {
        public ValueTask<Uri?> LocateAsync(CancellationToken cancellationToken) => new((Uri?)null);
    }
}
