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

    private static ValueTask<byte[]?> ReadAsync(long announced)
    {
        var http = new DefaultHttpContext { Request = { ContentLength = announced, Body = new MemoryStream([1, 2, 3]) } };
        var body = new RequestBody(new HttpOptions(), new DocumentMemory(), TimeProvider.System);
        return body.ReadAsync(new RegistryRequest(http, default, isFromReplica: false), 4 << 20);
    }
}
