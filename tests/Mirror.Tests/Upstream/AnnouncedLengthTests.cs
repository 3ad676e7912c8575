using Mirror.Configuration;
using Mirror.Upstream;
using Xunit;

namespace Mirror.Tests.Upstream;

/// <summary>A length that an upstream announces costs no memory before the bytes are there.</summary>
public sealed class AnnouncedLengthTests
{
    [Fact]
    public async Task Memory_grows_with_the_bytes_that_come_and_not_by_the_announced_length()
    {
        const int max = 64 << 20;
        var origin = new UpstreamOrigin(new UpstreamOptions { RemoteUrl = new Uri("https://registry.example") }, "registry.example");
        using var response = new HttpResponseMessage { Content = new ByteArrayContent([1, 2, 3]), RequestMessage = new() };
        response.Content.Headers.ContentLength = max;
        var before = GC.GetAllocatedBytesForCurrentThread();
        // It ends on this thread: all bytes are there.
        var read = UpstreamRequest.ReadBodyAsync(response, max, origin, TestContext.Current.CancellationToken);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        var body = await read;
        Assert.Equal([1, 2, 3], body);
        Assert.InRange(allocated, 0, max / 2);
    }
}
