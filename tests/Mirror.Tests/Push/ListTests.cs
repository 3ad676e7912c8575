using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Mirror.Storage.Stores;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>Lists in pages (OCI distribution-spec 1.1.1, "Listing Tags", end points 8a and 8b; registry:2's <c>_catalog</c>).</summary>
public sealed class ListTests(PlainRegistry registry) : IClassFixture<PlainRegistry>
{
    private readonly PushedRepository _repository = registry.NewRepository();

    [Fact]
    public async Task Tags_come_sorted_and_in_pages()
    {
        foreach (var tag in new[] { "b", "a", "C", "a.1", "a-1", "10", "9" })
            await _repository.PushManifestAsync(tag);
        string[] all = ["10", "9", "C", "a", "a-1", "a.1", "b"];
        Assert.Equal(all, await _repository.TagsAsync());
        Assert.Equal(all[..3], await _repository.TagsAsync("?n=3"));
        Assert.Equal(all[3..], await _repository.TagsAsync("?last=C"));
        Assert.Equal(all[3..5], await _repository.TagsAsync("?last=C&n=2"));
        // 'last' need not be an existing tag.
        Assert.Equal(all[3..], await _repository.TagsAsync("?last=Z"));
        Assert.Empty(await _repository.TagsAsync("?last=b"));

        List<string> paged = [];
        var path = "tags/list?n=3";
        while (path is not null)
        {
            using var response = await _repository.SendAsync("GET", path);
            using var json = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
            paged.AddRange(json.RootElement.GetProperty("tags").EnumerateArray().Select(tag => tag.GetString()!));
            path = Header(response, "Link") is { } link ? new Uri(registry.Mirror.Url, link.Split('<', '>')[1]).ToString() : null;
        }
        Assert.Equal(all, paged);
    }

    [Fact]
    public async Task A_page_of_0_tags_is_an_empty_list_without_a_link()
    {
        await _repository.PushManifestAsync("a");
        using var response = await _repository.SendAsync("GET", "tags/list?n=0");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Null(Header(response, "Link"));
        Assert.Empty(await _repository.TagsAsync("?n=0"));
    }

    [Fact]
    public async Task A_page_is_limited_by_the_configured_maximum()
    {
        for (var i = 0; i < 3; i++)
            await _repository.PushManifestAsync($"t{i}");
        await using var mirror = await Peers.MirrorProcess.StartAsync(new Peers.MirrorSettings
        {
            Root = registry.Mirror.Root,
            More = "tags: {maxtags: 2}\ncatalog: {maxentries: 2}\n",
        });
        var repository = new PushedRepository(mirror, _repository.Name);
        using var response = await repository.SendAsync("GET", "tags/list?n=5");
        Assert.NotNull(Header(response, "Link"));
        Assert.Equal(["t0", "t1"], await repository.TagsAsync("?n=5"));
        Assert.Equal(["t0", "t1", "t2"], await repository.TagsAsync());
        using var catalog = await repository.SendAsync("GET", new Uri(mirror.Url, "/v2/_catalog?n=3").ToString());
        await AssertErrorAsync(catalog, 400, "PAGINATION_NUMBER_INVALID");
    }

    [Fact]
    public async Task Clients_that_read_a_catalog_slowly_hold_up_no_other_catalog_and_no_mount()
    {
        // 5 MB: more than the 4 MiB that Linux buffers for a connection by default.
        const int repositories = 20_000;
        using var root = new Peers.TempFolder();
        for (var i = 0; i < repositories; i++)
            Directory.CreateDirectory(Path.Combine(root.Path, RegistryLayout.Repositories, $"r{i:00000}{new string('x', 240)}", "_layers"));
        await using var mirror = await Peers.MirrorProcess.StartAsync(
            new Peers.MirrorSettings { Root = root.Path, More = $"catalog: {{maxentries: {repositories}}}\n" });
        var repository = new PushedRepository(mirror, "a/b");
        var blob = await repository.PushAsync([1]);

        // As many as may read the names of all repositories at a time.
        List<TcpClient> slow = [];
        for (var i = 0; i < Math.Max(1, Environment.ProcessorCount / 2); i++)
        {
            slow.Add(new TcpClient { ReceiveBufferSize = 4096 });
            await slow[i].ConnectAsync(mirror.Url.Host, mirror.Url.Port, TestContext.Current.CancellationToken);
            var request = $"GET /v2/_catalog?n={repositories} HTTP/1.1\r\nHost: {mirror.Authority}\r\nConnection: close\r\n\r\n";
            await slow[i].GetStream().WriteAsync(Encoding.ASCII.GetBytes(request), TestContext.Current.CancellationToken);
            // With its first byte the answer has begun.
            await slow[i].GetStream().ReadExactlyAsync(new byte[1], TestContext.Current.CancellationToken);
        }
        using (var other = await repository.SendAsync("GET", new Uri(mirror.Url, "/v2/_catalog?n=1").ToString()))
            Assert.Equal(HttpStatusCode.OK, other.StatusCode);
        using (var mount = await repository.SendAsync("POST", $"blobs/uploads/?mount={blob}"))
            Assert.Equal(HttpStatusCode.Created, mount.StatusCode);

        // The others were not answered because the slow ones had been cut: their answers are whole.
        foreach (var client in slow)
        {
            using var reader = new StreamReader(client.GetStream(), Encoding.ASCII);
            var answer = await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
            using var json = JsonDocument.Parse(answer[(answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..]);
            Assert.Equal(repositories, json.RootElement.GetProperty("repositories").GetArrayLength());
            client.Dispose();
        }
    }

    [Fact]
    public async Task An_unknown_repository_has_no_list()
    {
        using var response = await _repository.SendAsync("GET", "tags/list");
        await AssertErrorAsync(response, 404, "NAME_UNKNOWN");
    }

    [Fact]
    public async Task The_list_follows_every_change_at_once()
    {
        for (var i = 0; i < 20; i++)
        {
            await _repository.PushManifestAsync($"t{i:00}");
            Assert.Equal(i + 1, (await _repository.TagsAsync()).Length);
        }
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(HttpStatusCode.Accepted, await _repository.StatusOfAsync("DELETE", $"manifests/t{i:00}"));
            Assert.Equal(19 - i, (await _repository.TagsAsync()).Length);
        }
    }
}
