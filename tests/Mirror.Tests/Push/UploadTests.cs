using System.Net;
using System.Net.Sockets;
using System.Text;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Tests.Peers;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>Uploads of blobs (OCI distribution-spec 1.1.1, "Pushing blobs", end points 4 to 6, 13 and 14).</summary>
public sealed class UploadTests(PlainRegistry registry) : IClassFixture<PlainRegistry>
{
    private readonly PushedRepository _repository = registry.NewRepository();

    public static TheoryData<string, string, int> EveryForm => new MatrixTheoryData<string, string, int>(
        ["monolithic", "put", "patch", "chunks"], ["sha256", "sha512"], [0, 2, 100_000]);

    [Theory]
    [MemberData(nameof(EveryForm))]
    public async Task A_blob_comes_back_as_it_was_pushed(string form, string algorithm, int length)
    {
        var bytes = Bytes(length);
        var digest = Digest.Of(bytes, algorithm);
        using var response = await PushAsync(form, bytes, digest);

        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        Assert.Equal(digest.ToString(), Header(response, "Docker-Content-Digest"));
        Assert.EndsWith($"/v2/{_repository.Name}/blobs/{digest}", Location(response), StringComparison.Ordinal);
        Assert.Equal(bytes, await _repository.BytesAsync($"blobs/{digest}"));
        using var head = await _repository.SendAsync("HEAD", $"blobs/{digest}");
        Assert.Equal((HttpStatusCode.OK, (long?)length), (head.StatusCode, head.Content.Headers.ContentLength));
        Assert.Equal(digest.ToString(), Header(head, "Docker-Content-Digest"));
    }

    [Theory]
    [InlineData("monolithic")]
    [InlineData("put")]
    [InlineData("patch")]
    [InlineData("chunks")]
    public async Task Bytes_that_do_not_match_the_digest_are_refused_and_deleted(string form)
    {
        var bytes = Bytes(1000);
        var wrong = Digest.Of("other"u8);
        using var response = await PushAsync(form, bytes, wrong);

        await AssertErrorAsync(response, 400, "DIGEST_INVALID");
        Assert.Equal(HttpStatusCode.NotFound, await _repository.StatusOfAsync("HEAD", $"blobs/{wrong}"));
        Assert.Empty(Files("_uploads"));
    }

    [Theory]
    [InlineData("GET", "")]
    [InlineData("PATCH", "")]
    [InlineData("PUT", "?digest=")]
    [InlineData("DELETE", "")]
    public async Task An_upload_that_another_program_deleted_is_unknown(string method, string query)
    {
        var bytes = Bytes(1000);
        using var begun = await _repository.SendAsync("POST", "blobs/uploads/");
        using var patched = await _repository.SendAsync("PATCH", Location(begun), bytes);
        Assert.Equal(HttpStatusCode.Accepted, patched.StatusCode);
        DeleteUploads();

        if (query is not "")
            query += Digest.Of(bytes);
        using var response = await _repository.SendAsync(method, Location(patched) + query);
        await AssertErrorAsync(response, 404, "BLOB_UPLOAD_UNKNOWN");
    }

    [Fact]
    public async Task An_upload_that_another_program_deletes_during_its_last_request_is_unknown()
    {
        var bytes = Bytes(1000);
        var location = await _repository.BeginAsync();
        using var put = await OpenAsync("PUT", $"{location}?digest={Digest.Of(bytes)}", bytes.Length);
        await put.GetStream().WriteAsync(bytes.AsMemory(0, 400), TestContext.Current.CancellationToken);
        await Until.TrueAsync(
            async () =>
            {
                using var status = await _repository.SendAsync("GET", location);
                return Header(status, "Range") == "0-399";
            },
            () => "The first bytes do not arrive.");
        DeleteUploads();
        await put.GetStream().WriteAsync(bytes.AsMemory(400), TestContext.Current.CancellationToken);
        using var answer = new StreamReader(put.GetStream());
        Assert.StartsWith("HTTP/1.1 404", await answer.ReadLineAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_upload_that_is_deleted_while_it_is_written_is_gone_or_whole()
    {
        var chunk = Bytes(300_000);
        for (var i = 0; i < 30; i++)
        {
            using var begun = await _repository.SendAsync("POST", "blobs/uploads/");
            var location = Location(begun);
            var write = _repository.SendAsync("PATCH", location, chunk, "application/octet-stream");
            var delete = _repository.SendAsync("DELETE", location);
            using var written = await write;
            using var deleted = await delete;
            Assert.True(
                (written.StatusCode, deleted.StatusCode) is (HttpStatusCode.Accepted, HttpStatusCode.NoContent or HttpStatusCode.Conflict)
                    or (HttpStatusCode.NotFound or HttpStatusCode.Conflict, HttpStatusCode.NoContent),
                $"{written.StatusCode}, {deleted.StatusCode}");
            if (deleted.StatusCode is HttpStatusCode.NoContent)
                Assert.Equal(HttpStatusCode.NotFound, await _repository.StatusOfAsync("GET", location));
            else
                Assert.Equal(HttpStatusCode.NoContent, await _repository.StatusOfAsync("DELETE", location));
        }
        Assert.Empty(Files("_uploads"));
    }

    [Fact]
    public async Task An_upload_answers_its_location_and_its_length()
    {
        using var begun = await _repository.SendAsync("POST", "blobs/uploads/");
        var location = Location(begun);
        Assert.Equal(HttpStatusCode.Accepted, begun.StatusCode);
        Assert.StartsWith(registry.Mirror.Url.ToString(), location, StringComparison.Ordinal);
        Assert.Equal("0-0", Header(begun, "Range"));
        Assert.EndsWith(Header(begun, "Docker-Upload-UUID")!, location, StringComparison.Ordinal);

        using var empty = await _repository.SendAsync("GET", location);
        Assert.Equal((HttpStatusCode.NoContent, "0-0"), (empty.StatusCode, Header(empty, "Range")));

        using var patched = await _repository.SendAsync("PATCH", location, Bytes(10));
        Assert.Equal((HttpStatusCode.Accepted, "0-9"), (patched.StatusCode, Header(patched, "Range")));
        using var status = await _repository.SendAsync("GET", location);
        Assert.Equal((HttpStatusCode.NoContent, "0-9"), (status.StatusCode, Header(status, "Range")));
    }

    [Theory]
    [InlineData("0-4")]
    [InlineData("5-9")]
    [InlineData("11-20")]
    public async Task A_chunk_out_of_order_is_416_and_the_offset_stays(string range)
    {
        var location = await _repository.BeginAsync();
        using var first = await _repository.SendAsync("PATCH", location, Bytes(10), null, ("Content-Range", "0-9"));
        var length = range.StartsWith("11", StringComparison.Ordinal) ? 10 : 5;
        using var wrong = await _repository.SendAsync("PATCH", location, Bytes(length), null, ("Content-Range", range));
        await AssertErrorAsync(wrong, 416, "RANGE_INVALID");
        Assert.Equal("0-9", Header(wrong, "Range"));
        var put = $"{location}?digest={Digest.Of(Bytes(10))}";
        using var last = await _repository.SendAsync("PUT", put, Bytes(5), null, ("Content-Range", "3-7"));
        await AssertErrorAsync(last, 416, "RANGE_INVALID");

        using var status = await _repository.SendAsync("GET", location);
        Assert.Equal("0-9", Header(status, "Range"));
        using var done = await _repository.SendAsync("PUT", $"{location}?digest={Digest.Of(Bytes(10))}");
        Assert.Equal(HttpStatusCode.Created, done.StatusCode);
    }

    [Fact]
    public async Task A_chunk_that_contradicts_its_length_is_refused()
    {
        var location = await _repository.BeginAsync();
        using var wrong = await _repository.SendAsync("PATCH", location, Bytes(10), null, ("Content-Range", "0-4"));
        await AssertErrorAsync(wrong, 400, "SIZE_INVALID");
        using var status = await _repository.SendAsync("GET", location);
        Assert.Equal("0-0", Header(status, "Range"));
    }

    [Fact]
    public async Task A_cancelled_upload_is_gone()
    {
        var location = await _repository.BeginAsync();
        using var patched = await _repository.SendAsync("PATCH", location, Bytes(10));
        Assert.Equal(HttpStatusCode.NoContent, await _repository.StatusOfAsync("DELETE", location));
        foreach (var method in new[] { "GET", "PATCH", "PUT", "DELETE" })
        {
            var query = method == "PUT" ? $"?digest={Digest.Of(Bytes(10))}" : "";
            using var response = await _repository.SendAsync(method, location + query);
            await AssertErrorAsync(response, 404, "BLOB_UPLOAD_UNKNOWN");
        }
        Assert.Empty(Files("_uploads"));
    }

    [Fact]
    public async Task A_finished_upload_is_gone()
    {
        var location = await _repository.BeginAsync();
        using var done = await _repository.SendAsync("PUT", $"{location}?digest={Digest.Of(Bytes(10))}", Bytes(10));
        Assert.Equal(HttpStatusCode.Created, done.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, await _repository.StatusOfAsync("GET", location));
        Assert.Empty(Files("_uploads"));
    }

    [Fact]
    public async Task An_invalid_digest_in_the_last_request_does_not_end_the_upload()
    {
        var location = await _repository.BeginAsync();
        using var patched = await _repository.SendAsync("PATCH", location, Bytes(10));
        foreach (var query in new[] { "", "?digest=", "?digest=sha256:abc", "?digest=md5:900150983cd24fb0d6963f7d28e17f72" })
        {
            using var refused = await _repository.SendAsync("PUT", location + query);
            await AssertErrorAsync(refused, 400, "DIGEST_INVALID");
        }
        using var done = await _repository.SendAsync("PUT", $"{location}?digest={Digest.Of(Bytes(10))}");
        Assert.Equal(HttpStatusCode.Created, done.StatusCode);
    }

    [Fact]
    public async Task Only_known_digest_algorithms_are_accepted()
    {
        using var known = await _repository.SendAsync("POST", "blobs/uploads/?digest-algorithm=sha512");
        using var done = await _repository.SendAsync("PUT", $"{Location(known)}?digest={Digest.Of(Bytes(10), "sha512")}", Bytes(10));
        Assert.Equal((HttpStatusCode.Accepted, HttpStatusCode.Created), (known.StatusCode, done.StatusCode));
        using var unknown = await _repository.SendAsync("POST", "blobs/uploads/?digest-algorithm=md5");
        await AssertErrorAsync(unknown, 400, "DIGEST_INVALID");
    }

    [Fact]
    public async Task Only_one_request_at_a_time_may_write_to_an_upload()
    {
        var location = await _repository.BeginAsync();
        using var slow = await OpenPatchAsync(location, 10);
        await slow.GetStream().WriteAsync(Bytes(10).AsMemory(0, 4), TestContext.Current.CancellationToken);
        // The status is answered while bytes still arrive. A PATCH that came first would hold the upload itself.
        await Until.TrueAsync(
            async () =>
            {
                using var status = await _repository.SendAsync("GET", location);
                return Header(status, "Range") == "0-3";
            },
            () => "the first bytes never arrived");
        using (var second = await _repository.SendAsync("PATCH", location, [], null, ("Content-Range", "7-9")))
            await AssertErrorAsync(second, 409, "BLOB_UPLOAD_INVALID");

        await slow.GetStream().WriteAsync(Bytes(10).AsMemory(4), TestContext.Current.CancellationToken);
        var answer = new byte[12];
        await slow.GetStream().ReadExactlyAsync(answer, TestContext.Current.CancellationToken);
        Assert.Equal("HTTP/1.1 202", Encoding.ASCII.GetString(answer));
        using var done = await _repository.SendAsync("PUT", $"{location}?digest={Digest.Of(Bytes(10))}");
        Assert.Equal(HttpStatusCode.Created, done.StatusCode);
    }

    [Fact]
    public async Task Bytes_that_arrived_before_the_connection_broke_are_kept()
    {
        var bytes = Bytes(700_000);
        var location = await _repository.BeginAsync();
        using (var broken = await OpenPatchAsync(location, bytes.Length))
        {
            await broken.GetStream().WriteAsync(bytes.AsMemory(0, 400_000), TestContext.Current.CancellationToken);
            // The status is answered while bytes still arrive.
            await Until.TrueAsync(
                async () =>
                {
                    using var status = await _repository.SendAsync("GET", location);
                    return Header(status, "Range") == "0-399999";
                },
                () => "what arrived is not said");
            broken.Client.LingerState = new LingerOption(true, 0);
        }
        // The server refuses it until it notices that the connection is broken.
        await Until.TrueAsync(
            async () =>
            {
                using var done = await _repository.SendAsync("PUT", $"{location}?digest={Digest.Of(bytes)}", bytes[400_000..]);
                Assert.True(done.StatusCode is HttpStatusCode.Created or HttpStatusCode.Conflict, $"{done.StatusCode}");
                return done.StatusCode == HttpStatusCode.Created;
            },
            () => "the upload stays held");
    }

    [Fact]
    public async Task Two_clients_that_push_one_layer_both_succeed()
    {
        var bytes = Bytes(3_000_000);
        var digest = Digest.Of(bytes);
        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(async i =>
        {
            using var response = await PushAsync(i % 2 == 0 ? "monolithic" : "chunks", bytes, digest);
            return response.StatusCode;
        }));
        Assert.All(answers, status => Assert.Equal(HttpStatusCode.Created, status));
        Assert.Equal(bytes, await _repository.BytesAsync($"blobs/{digest}"));
    }

    [Fact]
    public async Task A_location_begins_with_the_address_that_a_trusted_proxy_reports_or_is_a_path()
    {
        using var forwarded = await BeginAsync(("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "hub.example, inner"));
        Assert.StartsWith("https://hub.example/v2/", Location(forwarded), StringComparison.Ordinal);
        using var standard = await BeginAsync(("Forwarded", "for=1.2.3.4;proto=HTTPS;host=\"hub.example:444\""));
        Assert.StartsWith("https://hub.example:444/v2/", Location(standard), StringComparison.Ordinal);
        using var nonsense = await BeginAsync(("X-Forwarded-Proto", "javascript"), ("X-Forwarded-Host", "a b"));
        Assert.StartsWith("/v2/", nonsense.Headers.Location!.OriginalString, StringComparison.Ordinal);
        using var foreign = await BeginAsync(("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "h\u00FCb.example"));
        Assert.StartsWith("/v2/", foreign.Headers.Location!.OriginalString, StringComparison.Ordinal);
        using var direct = await BeginAsync();
        Assert.StartsWith("/v2/", direct.Headers.Location!.OriginalString, StringComparison.Ordinal);

        Task<HttpResponseMessage> BeginAsync(params (string, string)[] headers) =>
            _repository.SendAsync("POST", "blobs/uploads/", null, null, headers);
    }

    internal static byte[] Bytes(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    private async Task<HttpResponseMessage> PushAsync(string form, byte[] bytes, Digest digest)
    {
        if (form == "monolithic")
            return await _repository.SendAsync("POST", $"blobs/uploads/?digest={digest}", bytes);
        var location = await _repository.BeginAsync();
        if (form == "put")
            return await _repository.SendAsync("PUT", $"{location}?digest={digest}", bytes);
        if (form == "patch")
        {
            using var patched = await _repository.SendAsync("PATCH", location, bytes);
            Assert.Equal(HttpStatusCode.Accepted, patched.StatusCode);
            return await _repository.SendAsync("PUT", $"{Location(patched)}?digest={digest}");
        }
        // Two chunks, the second together with the digest. An empty blob has no first one.
        var half = bytes.Length / 2;
        if (half > 0)
        {
            using var first = await _repository.SendAsync("PATCH", location, bytes[..half], null, ("Content-Range", $"0-{half - 1}"));
            Assert.Equal(HttpStatusCode.Accepted, first.StatusCode);
            location = Location(first);
        }
        (string, string)[] range = half > 0 ? [("Content-Range", $"{half}-{bytes.Length - 1}")] : [];
        return await _repository.SendAsync("PUT", $"{location}?digest={digest}", bytes[half..], null, range);
    }

    private static Task<TcpClient> OpenPatchAsync(string location, int length) => OpenAsync("PATCH", location, length);

    private static async Task<TcpClient> OpenAsync(string method, string location, int length)
    {
        var url = new Uri(location);
        var client = new TcpClient();
        await client.ConnectAsync(url.Host, url.Port, TestContext.Current.CancellationToken);
        await client.GetStream().WriteAsync(
            Encoding.ASCII.GetBytes($"{method} {url.PathAndQuery} HTTP/1.1\r\nHost: {url.Authority}\r\nContent-Length: {length}\r\n\r\n"),
            TestContext.Current.CancellationToken);
        return client;
    }

    private void DeleteUploads()
    {
        foreach (var folder in Files("_uploads"))
            Directory.Delete(folder, recursive: true);
    }

    private string[] Files(string folder)
    {
        var path = Path.Combine(registry.Mirror.Root, RegistryLayout.Repository(RepositoryName.Parse(_repository.Name)), folder);
        return Directory.Exists(path) ? Directory.GetFileSystemEntries(path) : [];
    }
}
