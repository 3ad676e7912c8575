using Microsoft.AspNetCore.Http;
using Mirror.Configuration;
using Mirror.Limits;
using Mirror.Registry;
using Xunit;

namespace Mirror.Tests.Push;

public sealed class RequestBodyTests
{
    [Fact]
    public async Task Memory_grows_with_the_bytes_that_arrive()
    {
        await ReadAsync(announced: 0);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var bytes = await ReadAsync(announced: 4 << 20);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 256 << 10);
        Assert.Equal([1, 2, 3], bytes);
    }

    [Fact]
    public async Task Of_bodies_that_wait_for_each_others_memory_the_youngest_is_refused_and_the_oldest_goes_on()
    {
        var memory = new DocumentMemory();
        using var oldest = memory.Open(null);
        using var youngest = memory.Open(null);
        foreach (var body in new[] { oldest, youngest })
            await body.GrowToAsync(DocumentMemory.Room / 2, Cancel);
        var goesOn = oldest.GrowToAsync(DocumentMemory.Room, Cancel).AsTask();
        var busy = await Assert.ThrowsAsync<BusyException>(() => youngest.GrowToAsync(DocumentMemory.Room, Cancel).AsTask());
        Assert.EndsWith("; try again later", busy.Message, StringComparison.Ordinal);
        Assert.Contains("give the server more memory", busy.Advice, StringComparison.Ordinal);
        await goesOn;
    }

    [Fact]
    public async Task A_body_for_which_too_many_wait_already_is_refused_at_once()
    {
        var memory = new DocumentMemory(maxWaiting: 2);
        using var all = memory.Open(null);
        await all.GrowToAsync(DocumentMemory.Room + DocumentMemory.Piece, Cancel);
        using var first = memory.Open(null);
        using var second = memory.Open(null);
        var waiting = new[] { first, second }.Select(body => body.GrowToAsync(2 * DocumentMemory.Piece, Cancel).AsTask()).ToList();
        using var third = memory.Open(null);
        await Assert.ThrowsAsync<BusyException>(() => third.GrowToAsync(2 * DocumentMemory.Piece, Cancel).AsTask());
        // The first bytes need no room.
        await third.GrowToAsync(DocumentMemory.Piece, Cancel);
        Assert.All(waiting, body => Assert.False(body.IsCompleted));
        all.Dispose();
        await Task.WhenAll(waiting);
        await third.GrowToAsync(2 * DocumentMemory.Piece, Cancel);
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static ValueTask<byte[]?> ReadAsync(long announced)
    {
        var http = new DefaultHttpContext { Request = { ContentLength = announced, Body = new MemoryStream([1, 2, 3]) } };
        var body = new RequestBody(new HttpOptions(), new DocumentMemory(), TimeProvider.System);
        return body.ReadAsync(new RegistryRequest(http, default, isFromReplica: false), 4 << 20);
    }
}
