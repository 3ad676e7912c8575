using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Mirror.Access;
using Mirror.Configuration;
using Mirror.Configuration.Reading;
using Mirror.Fleet;
using Mirror.Notifications;
using Mirror.Registry;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Tests.Peers;
using Mirror.Tests.Resilience;
using Mirror.Upstream;
using Xunit;
using YamlDotNet.Core;

namespace Mirror.Tests.Parsing;

/// <summary>
/// Each parser of what a client, an upstream, a store or Redis sends gets its known inputs, and then changed ones. It may refuse them in
/// the way that its callers know; any other exception is a fault, and so is a hang.
/// </summary>
public sealed class FuzzTests : IDisposable
{
    private const string Hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    private const string Hash = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
    private const string Entry = "{\"mediaType\":\"a/b\",\"digest\":\"sha256:" + Hex + "\",\"size\":1,\"platform\":{\"os\":\"linux\"}}";

    // What is put into inputs: pieces that mean something to some parser, and characters at the edges of their kinds.
    private static readonly string[] Pieces =
    [
        "", "/", "//", "..", ":", "@", "=", ",", ";", "\"", "\\", "<", ">", "-", "%", "%00", "%2f", "\0", "\r\n", "\n", "\t", " ",
        "\u00e9", "\ud800", "\uffff", "0", "-1", "9223372036854775807", "9223372036854775808", "1e999", "NaN", "null", "true",
        "{", "}", "[", "]", "{}", "[[[[", "&a", "*a", "<<", "!!", "sha256:", Hex, "bytes=", "bytes 0-1/2", "Bearer ",
        "realm=", "rel=next", "*", "::1", "10.0.0.0/8", "h", "ns",
    ];

    private static readonly FleetKeys Secrets = new(new HttpOptions { Secret = "a secret" });

    private static readonly Dictionary<string, (string[] Corpus, Action<FuzzTests, string> Parse)> Parsers = new()
    {
        ["digest"] = ([$"sha256:{Hex}", $"sha512:{Hex}{Hex}", "md5:0"], static (_, text) => Digests(text)),
        ["reference"] = (["latest", $"sha256:{Hex}", "v1.2-x_y"], static (_, text) => Reference.TryParse(text, out var _)),
        ["name"] = (["library/nginx", "a/b__c/d-e.f", "localhost:5000/a"], static (_, text) => Names(text)),
        ["route"] = (
            ["/v2/", "/v2/a/b/manifests/latest", $"/v2/a/blobs/sha256:{Hex}", "/v2/a/blobs/uploads/x", "/v1/search", "/v2/_catalog"],
            static (_, text) => RegistryRoute.Of(text)),
        ["manifest"] = (
            [
                $$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciManifest}}","config":{{Entry}},"layers":[{{Entry}}]}""",
                $$"""{"schemaVersion":2,"manifests":[{{Entry}}],"subject":{{Entry}},"annotations":{"a":"b"},"artifactType":"a/b"}""",
                $$"""{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[{"blobSum":"sha256:{{Hex}}"}],"history":[{"a":"{}"}]}""",
            ],
            static (_, text) => Manifests(text)),
        ["range"] = (["bytes=0-1", "bytes=-5", "bytes=1-,3-4,8-9", "items=0-1"], static (_, text) => Ranges(text)),
        ["content range"] = (["0-9", "bytes 0-9/10", "bytes 0-9/*"], static (_, text) => ContentRanges(text)),
        ["page"] = (["10", "0", "2147483647"], static (_, text) => Pages(text)),
        ["challenge"] = (
            ["Bearer realm=\"https://auth.example/token\",service=\"registry\",scope=\"a:b:pull\"", "Basic realm=x", "Bearer realm=x"],
            static (_, text) => Challenges(text)),
        ["link"] = (
            ["</v2/a?last=b&n=1>; rel=\"next\"", "<https://other.example/x>; rel=prev, </y>", "<>; rel=next"],
            static (_, text) => Links(text)),
        ["retry-after"] = (["7", "Wed, 21 Oct 2065 07:28:00 GMT", "99999999999"], static (_, text) => Pauses(text)),
        ["duration"] = (
            ["10m", "1h30m", "1.5h", "500ms", "600", "-1s", "9223372036854775807h", "0.00000000001ns"],
            static (_, text) => GoDuration.TryParse(text, out var _)),
        ["address"] = (
            [":5000", "[::1]:5000", "localhost:5000", "0.0.0.0:65535"], static (_, text) => ListenAddress.TryParse(text, out var _)),
        ["NO_PROXY"] = (
            ["a.example,.b.example:80,10.0.0.0/8,::1,*", "[::1]:443", "1.2.3.4:80", "xn--a.example"], static (_, text) => Proxies(text)),
        ["yaml"] = (
            [
                "version: 0.1\nproxy: {remoteurl: https://registry.example}\n", "a: &x {b: 1}\nc: {<<: *x, d: [1, 2]}\n",
                "a: |\n  text\nb: 'c'\n", "proxy:\n  upstreams:\n  - {name: a, remoteurl: b}\n",
            ],
            static (_, text) => Refused<YamlException>(() => YamlText.Parse(text))),
        ["htpasswd"] = (["a:" + Hash + "\n#\nb:{SHA}x", ":", "a:$apr1$x"], static (fuzz, text) => fuzz.Passwords(text)),
        ["sealed text"] = (["", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"], static (_, text) =>
            Assert.False(new SealedText(Secrets).TryOpen("place", Encoding.UTF8.GetBytes(text), out var _))),
        ["signed text"] = (["http://replica:1 x", "a", $"a {Hex}"], static (_, text) =>
            Assert.False(new ReplicaSignature(Secrets, TimeProvider.System).TryReadText("place", text, out var _))),
        ["events"] = (["{\"id\":1}\n", "{\"id\":1}\n{\"id\":2}\n{", "\n\n"], static (fuzz, text) => fuzz.Events(text)),
        ["checkpoint"] = (
            ["mirror sha256 1\n\n", "mirror sha256 1\n\n" + Hex + Hex + Hex + Hex], static (fuzz, text) => fuzz.Checkpoints(text)),
    };

    // Those that write files.
    private static readonly HashSet<string> Slow = ["htpasswd", "events", "checkpoint"];

    private readonly TempFolder _folder = new();
    private int _files;

    public static TheoryData<string> All => [.. Parsers.Keys];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(All))]
    public void A_parser_reads_or_refuses_whatever_it_gets(string name)
    {
        var (corpus, parse) = Parsers[name];
        var random = Figures.Random(name.Length * 7919);
        foreach (var input in corpus)
            Try(input);
        var count = Slow.Contains(name) ? Figures.Count(100, 20_000) : Figures.Count(3_000, 2_000_000);
        // What was made of an input may be changed again.
        List<string> inputs = [.. corpus];
        for (var i = 0; i < count; i++)
        {
            var input = Change(inputs[random.Next(inputs.Count)], random);
            Try(input);
            if (input.Length < 2000 && inputs.Count < 500)
                inputs.Add(input);
            else if (input.Length < 2000)
                inputs[corpus.Length + random.Next(inputs.Count - corpus.Length)] = input;
        }
        Figures.Report(string.Create(CultureInfo.InvariantCulture, $"{name}: {count} changed inputs, 0 faults"));

        void Try(string input)
        {
            try
            {
                parse(this, input);
            }
            catch (Exception fault)
            {
                Assert.Fail($"{name}: {fault.GetType().Name} for '{Uri.EscapeDataString(input.Replace('\ud800', '?'))}': {fault}");
            }
        }
    }

    private static string Change(string input, Random random)
    {
        var text = new StringBuilder(input);
        for (var changes = random.Next(1, 4); changes > 0; changes--)
        {
            var at = random.Next(text.Length + 1);
            var length = random.Next(Math.Min(8, text.Length - at) + 1);
            switch (random.Next(4))
            {
                case 0:
                    text.Insert(at, Pieces[random.Next(Pieces.Length)]);
                    break;
                case 1:
                    text.Remove(at, length);
                    break;
                case 2:
                    text.Insert(at, text.ToString(at, length));
                    break;
                default:
                    text.Remove(at, length).Insert(at, (char)random.Next(random.Next(2) == 0 ? 128 : 0xD800));
                    break;
            }
        }
        return text.ToString();
    }

    private static void Digests(string text)
    {
        if (Digest.TryParse(text, out var digest))
            Assert.Equal(text, digest.ToString());
    }

    private static void Names(string text)
    {
        if (RepositoryName.TryParse(text, out var name))
            Assert.Equal(text, name.ToString());
    }

    private static void Manifests(string text)
    {
        if (ManifestDocument.TryParse(Encoding.UTF8.GetBytes(text), out var document, out var problem))
            Assert.All(document.Manifests, entry => Assert.Contains(entry, document.Entries));
        else
            Assert.NotEmpty(problem);
    }

    private static void Ranges(string text)
    {
        var http = new DefaultHttpContext();
        http.Request.Headers.Range = text;
        foreach (var part in ByteRange.Of(http.Request, 1000, "\"x\"") ?? [])
            Assert.True(0 <= part.From && part.From < part.End && part.End <= 1000, text);
    }

    private static void ContentRanges(string text)
    {
        var http = new DefaultHttpContext();
        http.Request.Headers.ContentRange = text;
        Refused<RegistryException>(() => ContentRange.Length(http.Request, 0));
    }

    private static void Pages(string text)
    {
        var http = new DefaultHttpContext();
        http.Request.QueryString = new QueryString($"?n={text.Replace('\ud800', '?')}");
        Refused<RegistryException>(() => Paging.Count(http.Request.Query));
    }

    private static void Challenges(string text)
    {
        using var response = new HttpResponseMessage();
        if (response.Headers.TryAddWithoutValidation("WWW-Authenticate", text))
            Challenge.From(response);
    }

    private static void Links(string text)
    {
        const string host = "registry.example";
        using var response = new HttpResponseMessage { RequestMessage = new(HttpMethod.Get, $"https://{host}/v2/a/tags/list") };
        if (response.Headers.TryAddWithoutValidation("Link", text))
            Refused<UpstreamUnavailableException>(() => Assert.Equal(host, NextPage.Of(response)?.Host ?? host));
    }

    private static void Pauses(string text)
    {
        using var response = new HttpResponseMessage();
        if (response.Headers.TryAddWithoutValidation("Retry-After", text)
            && UpstreamRequest.RetryAfter(response, TimeProvider.System) is { } pause)
            Assert.InRange(pause, TimeSpan.FromTicks(1), TimeSpan.FromHours(6));
    }

    private static void Proxies(string text)
    {
        var proxy = new EnvironmentProxy(
            new Dictionary<string, string> { ["NO_PROXY"] = text, ["HTTP_PROXY"] = text, ["https_proxy"] = "http://p:1" });
        proxy.GetProxy(new Uri("https://a.example/"));
        proxy.GetProxy(new Uri("http://[::1]:80/"));
    }

    private void Passwords(string text) => HtpasswdFile.Read(_folder.Write("htpasswd", text)).HashFor("alice", out _);

    private void Events(string text)
    {
        var folder = _folder.Folder($"queue{_files++}");
        Directory.CreateDirectory(Path.Combine(folder, "0"));
        File.WriteAllText(Path.Combine(folder, "0", "00000000000000000001.events"), text);
        File.WriteAllText(Path.Combine(folder, "0", "delivered"), text.Length % 2 == 0 ? $"1 {text}" : $"1 {text.Length / 2}");
        using (var queue = EventQueue.Open(folder))
        {
            queue.Append("{}"u8);
            for (var left = 1000; queue.Pending > 0; left--)
            {
                Assert.True(left > 0, "The queue does not end.");
                queue.Delivered(queue.NextAsync(TestContext.Current.CancellationToken).GetAwaiter().GetResult());
            }
        }
        Directory.Delete(folder, recursive: true);
    }

    private void Checkpoints(string text)
    {
        var path = Path.Combine(_folder.Path, "spool");
        File.WriteAllBytes(path, new byte[1000]);
        File.WriteAllText(path + ".hash", text);
        using var spool = Spool.Open(path, "sha256");
        var verified = spool.VerifyAsync(Digest.Of(new byte[1000]), TestContext.Current.CancellationToken).AsTask();
        Assert.True(verified.GetAwaiter().GetResult());
    }

    private static void Refused<T>(Action parse) where T : Exception
    {
        try
        {
            parse();
        }
        catch (T)
        {
            // In the way that callers know.
        }
    }
}
