using System.Net;
using System.Net.Sockets;
using Mirror.Tests.Access;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary>Correct logins beside many clients that send wrong passwords.</summary>
public sealed class LoginCrowdTests : IAsyncLifetime
{
    // The password is "secret", with a low cost. With another cost it is no password's.
    private const string Secret = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

    private readonly TempFolder _folder = new();
    private readonly CancellationTokenSource _end = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

    public ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        _end.Dispose();
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    public async Task A_right_login_does_not_wait_for_the_wrong_ones(int addresses)
    {
        var count = Figures.Count(40, 300);
        // Wrong passwords cost about 50 ms each, of known users and of unknown ones.
        var slow = Secret.Replace("$05$", "$10$", StringComparison.Ordinal);
        await using var registry = await StartAsync($"alice:{Secret}\nbob:{Secret}\nmallory:{slow}\n");
        var wrong = 0;
        List<SocketsHttpHandler> handlers = [.. Enumerable.Range(0, addresses).Select(i => From(IPAddress.Parse($"127.0.0.{i + 1}")))];
        var crowd = Enumerable.Range(0, count).Select(i => SendWrongAsync(registry.Url, handlers[i % addresses], i)).ToList();
        await Until.TrueAsync(() => Volatile.Read(ref wrong) > 0, () => string.Join('\n', registry.Log));
        for (var i = 0; i < 3; i++)
        {
            // Each over a connection of its own, as a client's first.
            using var handler = From(IPAddress.Loopback);
            using HttpClient client = new(handler);
            var before = Volatile.Read(ref wrong);
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, registry.Url, i < 2 ? "alice" : "bob", "secret"));
            var between = Volatile.Read(ref wrong) - before;
            Figures.Report($"right login {i + 1} of {count} connections from {addresses} addresses: after {between} wrong ones");
            Assert.True(between < count / 2, $"{between} wrong passwords were checked before the correct one");
        }
        await _end.CancelAsync();
        await Task.WhenAll(crowd);
        handlers.ForEach(handler => handler.Dispose());

        async Task SendWrongAsync(Uri url, SocketsHttpHandler handler, int number)
        {
            using HttpClient client = new(handler, disposeHandler: false);
            try
            {
                for (var i = 0; ; i++)
                {
                    Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(client, url, "mallory", $"{number}-{i}"));
                    Interlocked.Increment(ref wrong);
                }
            }
            catch (OperationCanceledException)
            {
                // The test has seen enough.
            }
        }
    }

    [Fact]
    public async Task More_logins_than_may_wait_are_refused_with_the_time_to_come_again()
    {
        // A second for each check.
        await using var registry = await StartAsync($"mallory:{Secret.Replace("$05$", "$14$", StringComparison.Ordinal)}\n");
        using var handler = From(IPAddress.Loopback);
        using HttpClient client = new(handler);
        TaskCompletionSource<HttpResponseMessage> refused = new();
        var crowd = Enumerable.Range(0, 600).Select(async i =>
        {
            try
            {
                var response = await SendAsync(client, registry.Url, "mallory", $"{i}");
                if (response.StatusCode != HttpStatusCode.Unauthorized)
                    refused.TrySetResult(response);
            }
            catch (OperationCanceledException)
            {
                // The test has seen enough.
            }
        }).ToList();
        var response = await refused.Task.WaitAsync(_end.Token);
        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(10), response.Headers.RetryAfter?.Delta);
        Assert.Contains("TOOMANYREQUESTS", await response.Content.ReadAsStringAsync(_end.Token));
        await registry.UntilLoggedAsync(line => line.Contains("logins wait to be checked", StringComparison.Ordinal));
        await _end.CancelAsync();
        await Task.WhenAll(crowd);
    }

    private Task<MirrorProcess> StartAsync(string users)
    {
        var path = _folder.Write("htpasswd", users);
        return MirrorProcess.StartAsync(new MirrorSettings { More = $"auth: {{htpasswd: {{realm: r, path: {path}}}}}" });
    }

    private async Task<HttpStatusCode> StatusAsync(HttpClient client, Uri url, string user, string password)
    {
        using var response = await SendAsync(client, url, user, password);
        return response.StatusCode;
    }

    private Task<HttpResponseMessage> SendAsync(HttpClient client, Uri url, string user, string password)
    {
        HttpRequestMessage request = new(HttpMethod.Get, new Uri(url, "/v2/"));
        request.Headers.TryAddWithoutValidation("Authorization", PasswordFile.Basic(user, password));
        return client.SendAsync(request, _end.Token);
    }

    // A proxy of the environment is not asked for this machine.
    private static SocketsHttpHandler From(IPAddress address) => new()
    {
        UseProxy = false,
        ConnectCallback = async (context, cancel) =>
        {
            Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(address.MapToIPv6(), 0));
            await socket.ConnectAsync(IPAddress.Loopback.MapToIPv6(), context.DnsEndPoint.Port, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        },
    };
}
