using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Limits;
using Mirror.PullThrough;
using Mirror.Registry;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Disk;
using Mirror.Storage.Files;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>Uploads whose file is open elsewhere, or is just being closed.</summary>
public sealed class HeldUploadTests
{
    [Fact]
    public async Task An_upload_that_another_server_has_open_is_busy_until_that_server_closes_it()
    {
        // Without one http.secret for both: with it, the first server lets go of the upload after each request (UploadQuotaTests).
        await using var first = await MirrorProcess.StartAsync(new MirrorSettings());
        await using var second = await MirrorProcess.StartAsync(new MirrorSettings { Root = first.Root });
        var (here, there) = (new PushedRepository(first, "a/b"), new PushedRepository(second, "a/b"));
        var location = await here.BeginAsync();
        Assert.Equal(HttpStatusCode.Accepted, await here.StatusOfAsync("PATCH", location, [1, 2]));

        var other = new Uri(second.Url, new Uri(location).PathAndQuery).ToString();
        foreach (var (method, query) in new[] { ("PATCH", ""), ("PUT", $"?digest={Digest.Of([1, 2, 3])}"), ("DELETE", "") })
        {
            using var busy = await there.SendAsync(method, other + query, [3]);
            await AssertErrorAsync(busy, 409, "BLOB_UPLOAD_INVALID");
        }
        Assert.DoesNotContain(second.Log, line => line.Contains("unexpected failure", StringComparison.Ordinal));

        await first.StopAsync();
        Assert.Equal(HttpStatusCode.Created, await there.StatusOfAsync("PUT", $"{other}?digest={Digest.Of([1, 2, 3])}", [3]));
    }

    [Fact]
    public async Task A_request_for_an_idle_upload_that_is_being_closed_opens_it_again()
    {
        using var folder = new TempFolder();
        using var uploads = UploadsIn(new FileUploadStore(folder.Path));
        var name = RepositoryName.Parse("a/b");
        var id = uploads.Begin(name, "client");
        using (var first = uploads.Hold(name, id, "client", "sha256"))
            first!.Append([1]);

        // The end of the server closes idle uploads in the same way as the timer does.
        const int rounds = 20_000;
        var cancel = TestContext.Current.CancellationToken;
        using var start = new Barrier(2);
        var closing = Task.Run(
            () =>
            {
                for (var round = 0; round < rounds; round++)
                {
                    start.SignalAndWait(cancel);
                    uploads.Dispose();
                }
            },
            cancel);
        var busy = 0;
        for (var round = 0; round < rounds; round++)
        {
            start.SignalAndWait(cancel);
            Thread.SpinWait(round % 100);
            try
            {
                using var held = uploads.Hold(name, id, "client", "sha256");
                Assert.Equal(1, held!.Length);
            }
            catch (RegistryException)
            {
                busy++;
            }
        }
        await closing;
        Assert.Equal(0, busy);
    }

    [Fact]
    public async Task The_file_of_an_upload_is_closed_before_it_is_deleted_because_of_NFS()
    {
        using var folder = new TempFolder();
        var name = RepositoryName.Parse("a/b");
        var id = Guid.Empty;
        var deletions = 0;
        var store = new WatchedStore(new FileUploadStore(folder.Path), () =>
        {
            deletions++;
            // Fails while the file is open.
            File.OpenHandle(folder[RegistryLayout.UploadData(name, id)], FileMode.Open, FileAccess.ReadWrite, FileShare.None).Dispose();
        });
        using var uploads = UploadsIn(store);
        id = uploads.Begin(name, "client");
        using (var held = uploads.Hold(name, id, "client", "sha256"))
        {
            held!.Append([1]);
            await held.DeleteAsync();
        }
        Assert.Equal(1, deletions);
        Assert.Null(uploads.Hold(name, id, "client", "sha256"));
    }

    [Fact]
    public async Task A_whole_blob_for_which_there_is_no_place_leaves_no_upload()
    {
        using var folder = new TempFolder();
        // The volume has room for the files of one upload.
        var store = new WatchedStore(new FileUploadStore(folder.Path), () => { }) { Files = 4 };
        using var uploads = UploadsIn(store);
        var options = new MirrorOptions();
        var quota = new PushQuota(options.Hosted, null!, null!, null!, null!, null!, TimeProvider.System);
        var transfers = new Transfers(OpenFiles.MaxTransfers);
        var repositories = new RepositoryResolver(new HostedNames(options), null!, null!);
        var bodies = new RequestBody(new HttpOptions(), new DocumentMemory(), TimeProvider.System);
        var route = new UploadRoute(repositories, null!, uploads, null!, bodies, null!, null!, transfers, quota, null!);
        var others = new DefaultHttpContext();
        for (var i = 0; i < OpenFiles.MaxTransfers; i++)
            await transfers.StartAsync(others);

        var http = new DefaultHttpContext { RequestAborted = new CancellationToken(canceled: true) };
        http.Request.QueryString = new QueryString($"?digest={Digest.Of([1])}");
        var request = new RegistryRequest(http, RegistryRoute.Of("/v2/a/b/blobs/uploads/"), isFromReplica: false)
        {
            Repository = repositories[RepositoryName.Parse("a/b")],
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => route.StartAsync(request));
        uploads.Begin(RepositoryName.Parse("a/b"), request.Client);
    }

    [Fact]
    public void The_uploads_without_bytes_that_have_been_idle_longest_make_room_for_new_ones()
    {
        using var folder = new TempFolder();
        // One repository may have three open uploads.
        var store = new WatchedStore(new FileUploadStore(folder.Path), () => { }) { Files = 12 };
        var time = new FakeTimeProvider();
        using var uploads = UploadsIn(store, time);
        var name = RepositoryName.Parse("a/b");
        HeldUpload? Hold(Guid id) => uploads.Hold(name, id, "client", "sha256");
        Guid Begin()
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return uploads.Begin(name, "client");
        }
        var (hasBytes, isAwaited, idle) = (Begin(), Begin(), Begin());
        using (var held = Hold(hasBytes))
            held!.Append([1]);

        // All of them are young.
        var refused = Assert.Throws<BusyException>(() => Begin());
        Assert.Equal(TimeSpan.FromSeconds(8), refused.RetryAfter);
        using (uploads.KeepWhileWaiting(name, isAwaited))
        {
            time.Advance(refused.RetryAfter);
            var next = Begin();
            Assert.Null(Hold(idle));
            refused = Assert.Throws<BusyException>(() => Begin());
            Assert.Equal(TimeSpan.FromSeconds(9), refused.RetryAfter);

            using (var held = Hold(next))
                held!.Append([1]);
        }
        // It is idle only since its request ended.
        refused = Assert.Throws<BusyException>(() => Begin());
        Assert.Equal(TimeSpan.FromSeconds(9), refused.RetryAfter);
        time.Advance(refused.RetryAfter);
        var last = Begin();
        Assert.Null(Hold(isAwaited));
        using (var held = Hold(last))
            held!.Append([1]);

        // An upload with bytes never makes room.
        time.Advance(TimeSpan.FromMinutes(30));
        Assert.Equal(TimeSpan.FromSeconds(30), Assert.Throws<BusyException>(() => Begin()).RetryAfter);
        using (var held = Hold(hasBytes))
            Assert.Equal(1, held!.Length);
    }

    private static Uploads UploadsIn(IUploadStore store, TimeProvider? clock = null)
    {
        var (http, time) = (new HttpOptions(), clock ?? TimeProvider.System);
        var keys = new FleetKeys(http);
        return new Uploads(
            store, new UploadQuotas(store, new StorageOptions(), time),
            new UploadOwners(null!, null!, keys, new ReplicaSignature(keys, time)), time);
    }

    private sealed class WatchedStore(FileUploadStore store, Action deletes) : IUploadStore
    {
        public void Start(RepositoryName name, Guid id, DateTimeOffset now) => store.Start(name, id, now);

        /// <summary>How many files the volume takes.</summary>
        public long Files { get; init; } = long.MaxValue;

        public VolumeRoom Room() => store.Room() with { Files = Files };

        public ValueTask<long?> LengthAsync(RepositoryName name, Guid id, CancellationToken cancellationToken) =>
            store.LengthAsync(name, id, cancellationToken);

        public Spool? Open(RepositoryName name, Guid id, string algorithm) => store.Open(name, id, algorithm);

        public ValueTask<bool> DeleteAsync(RepositoryName name, Guid id, CancellationToken cancellationToken)
        {
            deletes();
            return store.DeleteAsync(name, id, cancellationToken);
        }

        public ValueTask<bool> DeleteIdleAsync(RepositoryName name, Guid id, DateTimeOffset before, CancellationToken cancellationToken) =>
            store.DeleteIdleAsync(name, id, before, cancellationToken);

        public IAsyncEnumerable<StoredUpload> ListAsync(CancellationToken cancellationToken) => store.ListAsync(cancellationToken);
    }
}
