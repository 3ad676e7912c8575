using System.Text;
using Mirror.Storage.Buckets;
using Mirror.Storage.Stores;
using Mirror.Storage.Tests.Buckets;
using Mirror.Storage.Tests.Sweeping;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.S3;

public sealed class S3SweeperTests : SweeperTests
{
    private protected override async Task<SweptStore> CreateAsync() => await BucketSweptStore.CreateAsync(new S3Store());
}

public sealed class S3RaceTests : RaceTests
{
    private protected override int Pushers => 3;

    private protected override async Task<SweptStore> CreateAsync() => await BucketSweptStore.CreateAsync(new S3Store());
}

/// <summary>The steps by which claims and sweeps agree.</summary>
public sealed class S3ClaimTests : IAsyncLifetime
{
    private static readonly byte[] Bytes = Encoding.UTF8.GetBytes("layer");
    private static readonly Digest Layer = Digest.Of(Bytes);

    private BucketSweptStore _store = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _store = await BucketSweptStore.CreateAsync(new S3Store());

    public ValueTask DisposeAsync()
    {
        _store?.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_claim_and_a_removal_never_both_succeed()
    {
        var rounds = 0;
        for (var (claimed, removed) = (0, 0); rounds < 200 && (rounds < 15 || claimed == 0 || removed == 0); rounds++)
        {
            await _store.Content.PutAsync(Layer, Bytes, Stop);
            await _store.AgeAsync(TimeSpan.FromHours(1));
            await using var turn = await _store.Sweepable.BeginAsync(Stop);
            // With random delays, because requests to a store take different times.
            var sweeping = Task.Run(async () =>
            {
                await Task.Delay(Random.Shared.Next(12), Stop);
                return await _store.Sweepable.SweepContentAsync(Layer, turn!.Began - TimeSpan.FromMinutes(1), Stop) is not null;
            }, Stop);
            var claiming = Task.Run(async () =>
            {
                await Task.Delay(Random.Shared.Next(12), Stop);
                return await _store.Content.TouchAsync(Layer, Stop);
            }, Stop);
            var (gone, held) = (await sweeping, await claiming);
            Assert.NotEqual(gone, held);
            Assert.Equal(held, await _store.HasAsync(Layer));
            (claimed, removed) = (claimed + (held ? 1 : 0), removed + (gone ? 1 : 0));
        }
    }

    [Fact]
    public async Task A_claim_waits_for_a_mark_that_it_found_and_for_no_later_one()
    {
        await _store.Content.PutAsync(Layer, Bytes, Stop);
        await _store.Bucket.PutTextAsync(Mark(0), "", Stop);
        var claim = _store.Content.TouchAsync(Layer, Stop).AsTask();
        await Until.TrueAsync(async () => await ClaimedAsync(), () => "Nothing was claimed.");
        Assert.False(claim.IsCompleted);
        // There is a mark all the time. Which one the claim finds first is a matter of chance.
        var last = 0;
        await Until.TrueAsync(
            async () =>
            {
                await _store.Bucket.PutTextAsync(Mark(last + 1), "", Stop);
                await _store.Bucket.DeleteAsync(Mark(last++), Stop);
                return claim.IsCompleted;
            },
            () => "The claim waits for marks that came after it.");
        Assert.True(await claim);

        string Mark(int number) => $"{RegistryLayout.Condemned(Layer)}/{number}";
    }

    [Fact]
    public async Task A_claim_of_another_process_stops_a_sweep_that_leaves_no_mark()
    {
        await _store.Content.PutAsync(Layer, Bytes, Stop);
        await _store.AgeAsync(TimeSpan.FromHours(2));
        var (other, stores) = await _store.AnotherAsync();
        using (other)
            Assert.True(await stores.Content.TouchAsync(Layer, Stop));
        Assert.Equal(0, (await _store.SweepAsync()).Blobs);
        Assert.True(await _store.HasAsync(Layer));
        Assert.DoesNotContain(await _store.PathsAsync(), path => path.StartsWith(RegistryLayout.AllCondemned, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Old_claims_and_marks_are_deleted_and_young_ones_are_not()
    {
        await _store.Content.PutAsync(Layer, Bytes, Stop);
        await _store.Bucket.PutTextAsync($"{RegistryLayout.Condemned(Layer)}/dead", "", Stop);
        await _store.SweepAsync();
        Assert.True(await ClaimedAsync());
        await _store.AgeAsync(TimeSpan.FromDays(9));
        await _store.SweepAsync(new() { Grace = TimeSpan.FromDays(30) });
        Assert.False(await ClaimedAsync());
        Assert.Equal([RegistryLayout.BlobData(Layer)], await _store.PathsAsync());
    }

    private async Task<bool> ClaimedAsync()
    {
        await foreach (var _ in _store.Bucket.ListFolderAsync(RegistryLayout.Claims(Layer), Stop))
            return true;
        return false;
    }
}
