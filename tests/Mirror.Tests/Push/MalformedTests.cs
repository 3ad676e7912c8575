using System.Net;
using System.Net.Sockets;
using System.Text;
using Mirror.Storage;
using Xunit;
using static Mirror.Tests.Push.PushedRepository;

namespace Mirror.Tests.Push;

/// <summary>A hundred malformed requests of each kind get the right 4xx and leave nothing in the store.</summary>
public sealed class MalformedTests(PlainRegistry registry) : IClassFixture<PlainRegistry>
{
    private const int Count = 100;

    private readonly PushedRepository _repository = registry.NewRepository();

    [Fact]
    public async Task Digests()
    {
        foreach (var text in Garbled(Digest.Of("x"u8).ToString()).Where(text => !Digest.TryParse(text, out _)))
        {
            var escaped = Uri.EscapeDataString(text);
            await Expect(await _repository.SendAsync("POST", $"blobs/uploads/?digest={escaped}", [1]), "DIGEST_INVALID");
            await Expect(await _repository.SendAsync("GET", $"blobs/{escaped}"), "BLOB_UNKNOWN", "UNSUPPORTED", "BLOB_UPLOAD_UNKNOWN");
            await Expect(await _repository.SendAsync("GET", $"referrers/{escaped}"), "DIGEST_INVALID", "UNSUPPORTED");
        }
        AssertNothingLeft();
    }

    [Fact]
    public async Task Names()
    {
        foreach (var text in Garbled("local/app").Append(new string('a', 256)).Where(text => !RepositoryName.TryParse(text, out _)))
        {
            // The server resolves dot segments first (RFC 3986, 5.2.4), and the rest may be a valid name.
            if (text.Split('/').Any(part => part is "." or ".."))
                continue;
            var name = string.Join('/', text.Split('/').Select(Uri.EscapeDataString));
            var response = await RawAsync("POST", $"/v2/{name}/blobs/uploads/");
            // A name that is valid without its doubled slashes is redirected.
            var clean = string.Join('/', text.Split('/', StringSplitOptions.RemoveEmptyEntries));
            Assert.True(
                response is >= 400 and < 500 || response == 301 && RepositoryName.TryParse(clean, out _), $"{name}: {response}");
        }
        AssertNothingLeft();
    }

    [Fact]
    public async Task Tags()
    {
        var bytes = Manifest(Digest.Of("x"u8));
        foreach (var text in Garbled("v1.0").Append(new string('a', 129)).Where(text => !Reference.TryParse(text, out _)))
        {
            var escaped = Uri.EscapeDataString(text);
            var byTag = await _repository.SendAsync("PUT", $"manifests/{escaped}", bytes, OciManifest);
            await Expect(byTag, "TAG_INVALID", "DIGEST_INVALID", "UNSUPPORTED");
            var byDigest = await _repository.SendAsync("PUT", $"manifests/{Digest.Of(bytes)}?tag={escaped}", bytes, OciManifest);
            await Expect(byDigest, "TAG_INVALID");
        }
        AssertNothingLeft();
    }

    [Fact]
    public async Task Ranges()
    {
        var location = await _repository.BeginAsync();
        string[] odd =
        [
            "5-1", "-5", "5-", "1-1", "99999999999999999999-99999999999999999999", "9223372036854775807-9223372036854775807",
            "0-9223372036854775807", "0x0-0x1", "bytes", "a-b",
        ];
        foreach (var text in Garbled("0-99").Concat(odd).Where(text => text is not "0-99" && text.All(c => c is >= ' ' and <= '~')))
        {
            using var response = await _repository.SendAsync("PATCH", location, [1], null, ("Content-Range", text));
            if (response.StatusCode == HttpStatusCode.Accepted)
                continue;
            await Expect(response, "RANGE_INVALID", "SIZE_INVALID");
        }
        Assert.Equal(HttpStatusCode.NoContent, await _repository.StatusOfAsync("DELETE", location));
        AssertNothingLeft();
    }

    [Fact]
    public async Task Upload_ids()
    {
        foreach (var text in Garbled(Guid.NewGuid().ToString()))
        {
            var escaped = Uri.EscapeDataString(text);
            foreach (var method in new[] { "GET", "PATCH", "PUT", "DELETE" })
            {
                var response = await _repository.SendAsync(method, $"blobs/uploads/{escaped}?digest={Digest.Of("x"u8)}");
                await Expect(response, "BLOB_UPLOAD_UNKNOWN", "UNSUPPORTED");
            }
        }
        AssertNothingLeft();
    }

    [Fact]
    public async Task Content_types()
    {
        var bytes = Manifest(Digest.Of("x"u8));
        bool CanBeSent(string text) => text.Length > 0 && !text.Any(c => char.IsControl(c) || c > 126);
        foreach (var text in Garbled(OciManifest).Where(text => CanBeSent(text) && text.Split(';')[0].Trim() is not (OciManifest or "")))
            await Expect(await _repository.SendAsync("PUT", "manifests/t", bytes, text), "MANIFEST_INVALID");
        AssertNothingLeft();
    }

    [Fact]
    public async Task Json()
    {
        var good = Encoding.UTF8.GetString(Manifest(Digest.Of("x"u8)));
        string[] odd =
        [
            "", "null", "[]", "{}", "1", "\"x\"", "{", good + "x", good + good,
            new string('[', 100_000), string.Concat(Enumerable.Repeat("{\"a\":", 50_000)),
            With("\"layers\":[]", "\"layers\":{}"), With("\"layers\":[]", "\"layers\":[null]"),
            With("\"layers\":[]", "\"layers\":[],\"manifests\":[]"), With("\"size\":1", "\"size\":-1"),
            With("\"size\":1", "\"size\":1e99"), With("\"schemaVersion\":2", "\"schemaVersion\":1"),
            With(OciManifest, "\\ud800"), With("\"mediaType\":", "\"\\ud800\":"),
            With("\"layers\":[]", "\"layers\":[],\"subject\":{}"), With("\"layers\":[]", "\"layers\":[],\"artifactType\":7"),
        ];
        string With(string part, string other) => good.Replace(part, other, StringComparison.Ordinal);
        foreach (var text in Garbled(good).Concat(odd))
        {
            var bytes = Encoding.Latin1.GetBytes(text);
            foreach (var type in new[] { OciManifest, null })
                await Expect(await _repository.SendAsync("PUT", "manifests/t", bytes, type), "MANIFEST_INVALID", "MANIFEST_BLOB_UNKNOWN");
        }
        AssertNothingLeft();
    }

    private static async Task Expect(HttpResponseMessage response, params string[] codes)
    {
        using (response)
        {
            var body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            var told = $"{(int)response.StatusCode}: {response.RequestMessage!.RequestUri} {body}";
            Assert.True((int)response.StatusCode is >= 400 and < 500, told);
            // Kestrel answers a request that is not HTTP by itself, without a body.
            Assert.True(body.Length == 0 || codes.Any(code => body.Contains($"\"{code}\"", StringComparison.Ordinal)), told);
        }
    }

    /// <summary>The same hundred texts in every run: characters are replaced, inserted or cut off.</summary>
    private static IEnumerable<string> Garbled(string good)
    {
        const string Odd = "\0\n\r\t %/\\?#:;,.-_+\"'<>&=@$*{}[]()|~^`üA0é\u202e\uffff";
        var random = new Random(good.Length);
        for (var i = 0; i < Count; i++)
        {
            var text = new StringBuilder(good);
            for (var edits = random.Next(1, 4); edits > 0; edits--)
            {
                var at = random.Next(text.Length);
                switch (random.Next(4))
                {
                    case 0: text[at] = Odd[random.Next(Odd.Length)]; break;
                    case 1: text.Insert(at, Odd[random.Next(Odd.Length)]); break;
                    case 2: text.Length = at; text.Append('x', at == 0 ? 1 : 0); break;
                    default: text.Insert(at, "../"); break;
                }
            }
            if (text.ToString() != good)
                yield return text.ToString();
        }
    }

    // HttpClient would normalize the path.
    private async Task<int> RawAsync(string method, string target)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(registry.Mirror.Url.Host, registry.Mirror.Url.Port, TestContext.Current.CancellationToken);
        await client.GetStream().WriteAsync(
            Encoding.Latin1.GetBytes(
                $"{method} {target} HTTP/1.1\r\nHost: {registry.Mirror.Authority}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
            TestContext.Current.CancellationToken);
        using var reader = new StreamReader(client.GetStream(), Encoding.Latin1);
        var line = await reader.ReadLineAsync(TestContext.Current.CancellationToken);
        return int.Parse(line!.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
    }

    // The token of the administrator, the files that collections and evictions lock, and the file by which the server knows its store
    // again are there from the start.
    private void AssertNothingLeft() => Assert.Equal(
        ["admin-token", "eviction.lock", "identity", "sweep.lock"],
        Directory.EnumerateFiles(registry.Mirror.Root, "*", SearchOption.AllDirectories).Select(Path.GetFileName).Order());
}
