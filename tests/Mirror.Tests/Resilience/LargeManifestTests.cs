using System.Net;
using System.Net.Sockets;
using System.Text;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>Large manifests of many clients, in little memory.</summary>
public sealed class LargeManifestTests
{
    // Room for two manifests of 4 MiB.
    private static MirrorSettings InLittleMemory =>
        new() { Environment = new Dictionary<string, string> { ["DOTNET_GCHeapHardLimit"] = "0xC000000" } };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Of_many_large_manifests_at_once_none_is_cut_and_all_come_through()
    {
        MirrorProcess.Availability.OrSkip();
        await using var registry = await MirrorProcess.StartAsync(InLittleMemory);
        var repository = new PushedRepository(registry, "local/app");
        var config = await repository.PushAsync("{}"u8.ToArray());
        await Task.WhenAll(Enumerable.Range(0, 12).Select(async number =>
        {
            var manifest = PushedRepository.Manifest(
                config, more: $"\"annotations\":{{\"much\":\"{new string((char)('a' + number), 3 << 20)}\"}}");
            // A connection that is cut ends the test.
            await Until.TrueAsync(
                async () =>
                {
                    using var pushed = await repository.SendAsync("PUT", $"manifests/{number}", manifest, PushedRepository.OciManifest);
                    if (pushed.StatusCode == HttpStatusCode.Created)
                        return true;
                    Assert.NotNull(pushed.Headers.RetryAfter);
                    return false;
                },
                () => string.Join('\n', registry.Log));
        }));
    }

    [Fact]
    public async Task A_large_manifest_comes_through_although_others_that_do_not_end_have_all_memory()
    {
        MirrorProcess.Availability.OrSkip();
        await using var registry = await MirrorProcess.StartAsync(InLittleMemory);
        var head = Encoding.ASCII.GetBytes("PUT /v2/local/evil/manifests/1 HTTP/1.1\r\nHost: m\r\nContent-Length: 4194304\r\n\r\n");
        var sockets = Enumerable.Range(0, 12)
            .Select(_ => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)).ToList();
        try
        {
            var cut = sockets.Select(socket => UntilCutAsync(socket)).ToList();
            await await Task.WhenAny(cut);

            var repository = new PushedRepository(registry, "local/app");
            var manifest = PushedRepository.Manifest(
                await repository.PushAsync("{}"u8.ToArray()), more: $"\"annotations\":{{\"much\":\"{new string('a', 1 << 20)}\"}}");
            await Until.TrueAsync(
                async () =>
                {
                    try
                    {
                        using var pushed = await repository.SendAsync("PUT", "manifests/1", manifest, PushedRepository.OciManifest);
                        return pushed.StatusCode == HttpStatusCode.Created;
                    }
                    catch (HttpRequestException)
                    {
                        // Cut, as the others.
                        return false;
                    }
                },
                () => string.Join('\n', registry.Log));
        }
        finally
        {
            sockets.ForEach(socket => socket.Dispose());
        }

        async Task UntilCutAsync(Socket socket)
        {
            await socket.ConnectAsync(IPAddress.Loopback, registry.Url.Port, Cancel);
            try
            {
                await socket.SendAsync(head, Cancel);
                // One byte less than announced.
                for (var sent = 0; sent < (4 << 20) - 1;)
                    sent += await socket.SendAsync(new byte[Math.Min(64 * 1024, (4 << 20) - 1 - sent)], Cancel);
                // It is cut, or refused because all others wait for memory as well.
                var answer = new byte[1000];
                if (await socket.ReceiveAsync(answer, Cancel) is > 0 and var length)
                    Assert.StartsWith("HTTP/1.1 503 ", Encoding.ASCII.GetString(answer, 0, length), StringComparison.Ordinal);
            }
            catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
            {
                // Cut while it sent, or at the end of the test.
            }
        }
    }
}
