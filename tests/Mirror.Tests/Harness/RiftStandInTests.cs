using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Mirror.Tests.Peers;
using Mirror.Tests.Peers.Elliptics;
using Xunit;

namespace Mirror.Tests.Harness;

/// <summary>The stand-in for Rift answers curl as Rift's manual, its examples and its own tests show.</summary>
public sealed class RiftStandInTests : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private RiftStandIn _rift = null!;
    private bool _isByQuery;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        if (_rift is not null)
            await _rift.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(RiftRelease.ByQuery)]
    [InlineData(RiftRelease.ByPath)]
    public async Task Curl_reads_what_it_wrote(RiftRelease release)
    {
        await StartAsync(release);
        Assert.Equal((200, ""), await CurlAsync(release is RiftRelease.ByQuery ? "ping" : "ping/"));
        var uploaded = (await JsonAsync(At("upload", "a/test.txt"), "--data-binary", "test-data"))["info"]![0]!;
        var info = await JsonAsync(At("download-info", "a/test.txt"));
        foreach (var one in new[] { uploaded, info })
        {
            Assert.Equal((Sha512("a/test.txt"), 9), ((string?)one["id"], (int)one["size"]!));
            Assert.Equal(128, ((string)one["csum"]!).Length);
            Assert.True((int)one["offset-within-data-file"]! > 0);
        }
        var written = double.Parse((string)info["mtime"]!["time-raw"]!, CultureInfo.InvariantCulture);
        Assert.InRange(double.Parse((string)info["time"]!, CultureInfo.InvariantCulture), Math.Floor(written), 1e11);

        Assert.Equal((200, "test-data"), await CurlAsync(At("get", "a/test.txt")));
        Assert.Equal((200, "st-d"), await CurlAsync(At("get", "a/test.txt", "offset=2&size=4")));
        Assert.Equal((400, ""), await CurlAsync(At("get", "a/test.txt", "offset=two")));
        Assert.Equal((404, ""), await CurlAsync(At("get", "missing")));
        Assert.Equal((503, ""), await CurlAsync(At("download-info", "missing")));
        Assert.Equal((404, ""), await CurlAsync(At("unknown", "a/test.txt")));
        Assert.Equal((404, ""), await CurlAsync(At("get", "a/test.txt"), "-X", "POST"));
        // What release 0.6 has no name for is no object.
        if (release is RiftRelease.ByQuery)
            Assert.Equal((400, ""), await CurlAsync("get"));

        // An empty object cannot be written, and a shorter write ends the object.
        Assert.Equal(release is RiftRelease.ByQuery ? 503 : 400, (await CurlAsync(At("upload", "empty"), "-X", "POST", "-d", "")).Status);
        await JsonAsync(At("upload", "a/test.txt"), "-d", "ab");
        await JsonAsync(At("upload", "a/test.txt", "offset=1"), "-d", "x");
        Assert.Equal((200, "ax"), await CurlAsync(At("get", "a/test.txt")));
    }

    [Theory]
    [InlineData("0-100", 206, 0, 100)]
    [InlineData("100-200", 206, 100, 200)]
    [InlineData("100-20000000", 206, 100, 999)]
    [InlineData("-5", 206, 995, 999)]
    [InlineData("-20000000", 206, 0, 999)]
    [InlineData("60000000-", 416, 0, 0)]
    public async Task A_range_of_an_object_is_sent(string range, int status, int from, int to)
    {
        var text = string.Concat(Enumerable.Range(0, 250).Select(number => number.ToString("D4", CultureInfo.InvariantCulture)));
        foreach (var release in new[] { RiftRelease.ByQuery, RiftRelease.ByPath })
        {
            await StartAsync(release);
            await JsonAsync(At("upload", "name"), "-d", text);
            var headers = Path.Combine(_folder.Path, "headers");
            var answer = await CurlAsync(At("get", "name"), "-H", $"Range: bytes={range}", "-D", headers);
            Assert.Equal((status, status == 206 ? text[from..(to + 1)] : ""), answer);
            var sent = await File.ReadAllTextAsync(headers, Cancel);
            if (status == 206)
                Assert.Contains($"Content-Range: bytes {from}-{to}/1000\r\n", sent, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Several_ranges_come_as_parts()
    {
        await StartAsync(RiftRelease.ByPath);
        await JsonAsync(At("upload", "name"), "-d", "0123456789");
        var (status, body) = await CurlAsync(At("get", "name"), "-H", "Range: bytes=0-1,-3");
        Assert.Equal(206, status);
        Assert.Contains("Content-Range: bytes 0-1/10\n\n01\n", body.Replace("\r", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Contains("Content-Range: bytes 7-9/10\n\n789\n", body.Replace("\r", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_upload_in_pieces_can_be_read_when_it_is_committed()
    {
        await StartAsync(RiftRelease.ByQuery);
        await JsonAsync(At("upload", "name"), "-d", "old");
        await JsonAsync(At("upload", "name", "prepare=8"), "-d", "abc");
        Assert.Equal((404, ""), await CurlAsync(At("get", "name")));
        await JsonAsync(At("upload", "name", "offset=3&plain-write=1"), "-d", "def");
        Assert.Equal((503, ""), await CurlAsync(At("upload", "name", "offset=6&plain-write=1"), "-d", "ghi"));
        await JsonAsync(At("upload", "name", "offset=6&commit=7"), "-d", "g");
        Assert.Equal((200, "abcdefg"), await CurlAsync(At("get", "name")));
        Assert.Equal((503, ""), await CurlAsync(At("upload", "name", "offset=0&plain-write=1"), "-d", "z"));
    }

    [Fact]
    public async Task A_deleted_object_is_gone()
    {
        await StartAsync(RiftRelease.ByPath);
        await JsonAsync(At("upload", "delete-test"), "-d", "x");
        Assert.Equal((200, ""), await CurlAsync(At("delete", "delete-test"), "-X", "POST"));
        Assert.Equal((404, ""), await CurlAsync(At("get", "delete-test")));
        Assert.Equal((404, ""), await CurlAsync(At("delete", "delete-test"), "-X", "POST"));
        Assert.Equal(0, _rift.Count);
    }

    [Fact]
    public async Task Objects_are_found_by_their_indexes()
    {
        const string update = """{"id":"elliptics","indexes":{"fast":"data for 'fast'","distributed":"and \"distributed\""}}""";
        const string both = """{"type":"and","view":"extended","indexes":["fast","distributed"]}""";
        foreach (var release in new[] { RiftRelease.ByQuery, RiftRelease.ByPath })
        {
            await StartAsync(release);
            var find = release is RiftRelease.ByQuery ? "find?name=any" : "find/";
            string[] method = release is RiftRelease.ByQuery ? ["-X", "GET"] : [];
            await JsonAsync(At("upload", "elliptics"), "-d", "the object");
            await JsonAsync(At("upload", "other"), "-d", "another");
            Assert.Equal((200, ""), await CurlAsync(At("update", "elliptics"), "-d", update));
            Assert.Equal((200, ""), await CurlAsync(At("update", "other"), "-d", """{"id":"other","indexes":{"fast":"2"}}"""));

            var found = await JsonAsync(find, [.. method, "-d", both]);
            Assert.Equal([Sha512("elliptics")], found.AsObject().Select(one => one.Key));
            var one = found[Sha512("elliptics")]!;
            Assert.Equal("data for 'fast'", (string?)one["indexes"]!["fast"]);
            Assert.Equal("and \"distributed\"", (string?)one["indexes"]!["distributed"]);
            Assert.Equal("the object", (string?)one["data-object"]!["data"]);
            Assert.NotNull(one["data-object"]!["mtime"]!["time-raw"]);

            var any = await JsonAsync(find, [.. method, "-d", both.Replace("and", "or", StringComparison.Ordinal)]);
            string[] all = [Sha512("elliptics"), Sha512("other")];
            Assert.Equal(all.Order(StringComparer.Ordinal), any.AsObject().Select(one => one.Key));
            // An update takes the object out of the indexes that it does not name.
            const string less = """{"id":"elliptics","indexes":{"distributed":""}}""";
            Assert.Equal((200, ""), await CurlAsync(At("update", "elliptics"), "-d", less));
            var ids = both.Replace("extended", "id-only", StringComparison.Ordinal);
            Assert.Empty((await JsonAsync(find, [.. method, "-d", ids])).AsObject());
            // Elliptics refuses to read the objects of an empty list.
            Assert.Equal((503, ""), await CurlAsync(find, [.. method, "-d", both]));
            Assert.Equal((400, ""), await CurlAsync(find, [.. method, "-d", """{"type":"not","indexes":[]}"""]));
            Assert.Equal((400, ""), await CurlAsync(At("update", "elliptics"), "-d", "{"));
        }
    }

    [Fact]
    public async Task A_bucket_of_release_0_6_wants_its_signature()
    {
        await StartAsync(RiftRelease.ByQuery, new RiftBucket("qwerty") { Token = "trello" }, new RiftBucket("open"),
            new RiftBucket("read") { Token = "other", IsReadWithoutToken = true });
        const string upload = "upload?name=123&namespace=qwerty";
        // Of the query and the headers the sorted ones are signed.
        string[] signed = ["-d", "some-text", "-H", "X-Ell-Ololo: trash", "-H"];
        var signature = await SignAsync("trello", @"POST\n/upload?name=123&namespace=qwerty\nx-ell-ololo:trash\n");
        Assert.Equal((400, ""), await CurlAsync(upload, "-d", "some-text"));
        Assert.Equal((403, ""), await CurlAsync(upload, [.. signed, $"Authorization: {signature.Replace('0', '1')}"]));
        Assert.Equal((403, ""), await CurlAsync(upload, "-d", "some-text", "-H", $"Authorization: {signature}"));
        await JsonAsync(upload, [.. signed, $"Authorization: {signature}"]);
        await JsonAsync("upload?namespace=qwerty&name=123", [.. signed, $"Authorization: {signature}"]);
        var get = await SignAsync("trello", @"GET\n/get?name=123&namespace=qwerty\n");
        Assert.Equal((200, "some-text"), await CurlAsync("get?name=123&namespace=qwerty", "-H", $"Authorization: {get}"));
        // Each bucket has keys of its own.
        Assert.Equal((404, ""), await CurlAsync("get?name=123&namespace=open"));
        var info = (await JsonAsync("upload?name=123&namespace=open", "-d", "x"))["info"]![0]!;
        Assert.Equal(Sha512("open\0123"), (string?)info["id"]);
        Assert.Equal((404, ""), await CurlAsync("get?name=123&namespace=read"));
        Assert.Equal((400, ""), await CurlAsync("upload?name=123&namespace=read", "-d", "x"));
        Assert.Equal((403, ""), await CurlAsync("get?name=123&namespace=none"));
        Assert.Equal((400, ""), await CurlAsync("get?name=123"));
    }

    [Fact]
    public async Task A_bucket_of_a_later_release_has_users()
    {
        await StartAsync(RiftRelease.ByPath, new RiftBucket("b")
        {
            Users = [new("*", "", RiftRights.NoToken), new("w", "token", RiftRights.Write), new("r", "read", RiftRights.None)],
        });
        var write = $"Authorization: riftv1 w:{await SignAsync("token", @"POST\n/upload/b/a/key\n")}";
        Assert.Equal((403, ""), await CurlAsync("upload/b/a/key", "-d", "x"));
        Assert.Equal((401, ""), await CurlAsync("upload/b/a/key", "-d", "x", "-H", "Authorization: riftv1 w"));
        Assert.Equal((403, ""), await CurlAsync("upload/b/a/key", "-d", "x", "-H", "Authorization: riftv1 none:0"));
        Assert.Equal((403, ""), await CurlAsync("upload/b/a/key", "-d", "x", "-H", "Authorization: Basic dzp0b2tlbg=="));
        Assert.Equal((403, ""), await CurlAsync("upload/b/a/other", "-d", "x", "-H", write));
        var reader = $"Authorization: riftv1 r:{await SignAsync("read", @"POST\n/upload/b/a/key\n")}";
        Assert.Equal((403, ""), await CurlAsync("upload/b/a/key", "-d", "x", "-H", reader));
        var info = (await JsonAsync("upload/b/a/key", "-d", "text", "-H", write))["info"]![0]!;
        Assert.Equal(Sha512("b\0a/key"), (string?)info["id"]);
        Assert.Equal((200, "text"), await CurlAsync("get/b/a/key"));
        Assert.Equal((404, ""), await CurlAsync("get/none/a/key"));

        var listed = (await JsonAsync("list/b"))["indexes"]!.AsArray();
        Assert.Equal((1, (string?)info["id"], "a/key"), (listed.Count, (string?)listed[0]!["id"], (string?)listed[0]!["key"]));
        Assert.NotNull(listed[0]!["time_seconds"]);
        // Any client makes a bucket that is not there.
        const string made = """{"groups":[5,6],"acl":[{"user":"*","token":"","flags":7}]}""";
        await JsonAsync("update-bucket/mine/folder", "-d", made);
        Assert.Equal((403, ""), await CurlAsync("update-bucket/b/folder", "-d", made));
        await JsonAsync("upload/mine/key", "-d", "x");
        Assert.Equal((200, ""), await CurlAsync("delete/mine/key", "-X", "POST"));
        Assert.Empty((await JsonAsync("list/mine"))["indexes"]!.AsArray());
        Assert.Equal((200, ""), await CurlAsync("delete-bucket/mine/", "-X", "POST"));
        Assert.Equal((404, ""), await CurlAsync("list/mine"));
    }

    [Fact]
    public async Task An_upload_that_is_cut_off_cannot_be_read_and_one_too_large_fails()
    {
        await StartAsync(RiftRelease.ByPath);
        _rift.BytesPerPiece = 1000;
        var (file, back) = (Path.Combine(_folder.Path, "file"), Path.Combine(_folder.Path, "back"));
        var bytes = new byte[25_500];
        new Random(1).NextBytes(bytes);
        await File.WriteAllBytesAsync(file, bytes, Cancel);
        string[] send = ["--data-binary", $"@{file}"];
        await JsonAsync(At("upload", "name"), send);
        Assert.Equal((200, ""), await CurlAsync(At("get", "name"), "-o", back));
        Assert.Equal(bytes, await File.ReadAllBytesAsync(back, Cancel));

        _rift.Faults.Set(StoreFault.CutAfter(10_000));
        await Assert.ThrowsAsync<PeerFailedException>(() => CurlAsync(At("upload", "name"), send));
        _rift.Faults.Clear();
        Assert.Equal((404, ""), await CurlAsync(At("get", "name")));
        _rift.Capacity = 40_000;
        await JsonAsync(At("upload", "small"), "-d", "x");
        Assert.Equal((503, ""), await CurlAsync(At("upload", "large"), send));
        Assert.Equal((404, ""), await CurlAsync(At("get", "large")));
        Assert.Equal(1, _rift.Count);
    }

    [Fact]
    public async Task Faults_come_as_ordered_and_end()
    {
        await StartAsync(RiftRelease.ByPath);
        await JsonAsync(At("upload", "name"), "-d", "text");
        _rift.Faults.Set(_ => _rift.Faults.Count < 2 ? StoreFault.Status(500) : null);
        foreach (var status in new[] { 500, 500, 200 })
            Assert.Equal(status, (await CurlAsync(At("get", "name"))).Status);
        _rift.Faults.Set(StoreFault.CutAfter(2));
        await Assert.ThrowsAsync<PeerFailedException>(() => CurlAsync(At("get", "name")));
        _rift.Faults.Set(StoreFault.Hang);
        var hanging = CurlAsync(At("get", "name"));
        await Until.TrueAsync(() => Task.FromResult(_rift.Faults.Count == 4), () => "No request came.");
        _rift.Faults.Clear();
        await Assert.ThrowsAsync<PeerFailedException>(() => hanging);
        Assert.Equal((200, "text"), await CurlAsync(At("get", "name")));
    }

    // The address of an object in the release that runs, without a bucket.
    private string At(string handler, string key, string query = "") =>
        _isByQuery ? $"{handler}?name={key}&{query}".TrimEnd('&') : $"{handler}/{key}?{query}".TrimEnd('?');

    private async Task StartAsync(RiftRelease release, params RiftBucket[] buckets)
    {
        Availability.Of("curl", "openssl").OrSkip();
        if (_rift is not null)
            await _rift.DisposeAsync();
        _isByQuery = release is RiftRelease.ByQuery;
        _rift = await RiftStandIn.StartAsync(release, buckets.Length > 0 ? buckets : null);
    }

    private async Task<(int Status, string Body)> CurlAsync(string address, params string[] arguments)
    {
        var output = await PeerProcess.RunAsync(
            "curl", ["-s", "--noproxy", "*", "-w", "\n%{http_code}", .. arguments, _rift.Url + address]);
        var end = output.LastIndexOf('\n');
        return (int.Parse(output[(end + 1)..], CultureInfo.InvariantCulture), output[..Math.Max(0, end)]);
    }

    private async Task<JsonNode> JsonAsync(string address, params string[] arguments)
    {
        var (status, body) = await CurlAsync(address, arguments);
        Assert.True(status == 200, $"{status} {body}");
        return JsonNode.Parse(body)!;
    }

    private static async Task<string> SignAsync(string token, string text) => (await PeerProcess.RunAsync(
        "bash", ["-c", $"printf '{text}' | openssl dgst -sha512 -hmac {token} | sed 's/.* //'"])).Trim();

    private static string Sha512(string text) => Convert.ToHexStringLower(SHA512.HashData(Encoding.UTF8.GetBytes(text)));
}
