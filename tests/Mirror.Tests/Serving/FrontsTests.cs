using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Mirror.Tests.Access;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Resilience;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary>
/// The files in <c>deploy/fronts</c>, each with the real program: as they stand, and with their passwords. With <c>MIRROR_TESTS=full</c>
/// 5 GiB go through each of them in both directions.
/// </summary>
public sealed class FrontsTests(PlainRegistry registry) : IClassFixture<PlainRegistry>
{
    private static readonly HubBlob Layer = HubBlob.Seeded(16, Figures.Full ? 5L << 30 : 24 << 20);
    private static readonly HubBlob Small = HubBlob.Seeded(17, 1 << 20);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("nginx", false)]
    [InlineData("nginx", true)]
    [InlineData("nginx", true, true)]
    [InlineData("apache2", false)]
    [InlineData("apache2", true)]
    [InlineData("apache2", true, true)]
    [InlineData("haproxy", false)]
    [InlineData("haproxy", true)]
    [InlineData("caddy", false)]
    [InlineData("caddy", true)]
    public async Task A_front_passes_everything_on_and_asks_for_its_own_passwords(string program, bool withPasswords, bool isOld = false)
    {
        Availability.Of(program).OrSkip();
        await using var front = await Front.StartAsync(program, registry.Mirror.Authority, withPasswords, isOld);
        using var http = Front.Client(withPasswords);
        var blob = withPasswords ? Small : Layer;
        var started = TimeProvider.System.GetTimestamp();

        // 1. A push of unknown length, in a chunk, that goes through as it comes.
        using var start = await http.PostAsync($"{front.Url}/v2/local/app/blobs/uploads/", null, Cancel);
        Assert.True(start.StatusCode == HttpStatusCode.Accepted, $"{start.StatusCode}\n{front.Output}");
        // Without X-Forwarded-Proto it is a path.
        Assert.StartsWith(isOld ? "/v2/" : front.Url, start.Headers.Location!.OriginalString, StringComparison.Ordinal);
        using var taken = await SendAsync(
            http, HttpMethod.Patch, front, start, new BlobBody(blob, 0, blob.Size - 1000, isLengthKnown: false));
        Assert.Equal(HttpStatusCode.Accepted, taken.StatusCode);

        // 2. The rest, as a chunk of known length and place.
        var rest = new BlobBody(blob, blob.Size - 1000, blob.Size, isLengthKnown: true);
        rest.Headers.TryAddWithoutValidation("Content-Range", string.Create(
            CultureInfo.InvariantCulture, $"{blob.Size - 1000}-{blob.Size - 1}"));
        using var all = await SendAsync(http, HttpMethod.Patch, front, taken, rest);
        Assert.Equal(HttpStatusCode.Accepted, all.StatusCode);
        using var put = await SendAsync(http, HttpMethod.Put, front, all, null, $"digest={blob.Digest}");
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        var pushed = TimeProvider.System.GetElapsedTime(started);

        // 3. All of it, parts of it, and what is no part of it.
        var path = $"{front.Url}/v2/local/app/blobs/{blob.Digest}";
        started = TimeProvider.System.GetTimestamp();
        using (var pull = await http.GetAsync(path, HttpCompletionOption.ResponseHeadersRead, Cancel))
        {
            Assert.Equal((HttpStatusCode.OK, blob.Size), (pull.StatusCode, pull.Content.Headers.ContentLength));
            await using var body = await pull.Content.ReadAsStreamAsync(Cancel);
            Assert.Equal(blob.Digest, await DigestOfAsync(body));
        }
        var pulled = TimeProvider.System.GetElapsedTime(started);
        (long?, long?)[] parts = [(1000, 1999), (blob.Size - 5000, blob.Size - 4001), (blob.Size - 10, null), (null, 7)];
        foreach (var (from, to) in parts)
        {
            var (first, end) = (from ?? blob.Size - to!.Value, from is null ? blob.Size : to + 1 ?? blob.Size);
            using var range = await PartAsync(from, to);
            Assert.Equal(HttpStatusCode.PartialContent, range.StatusCode);
            Assert.Equal(new ContentRangeHeaderValue(first, end - 1, blob.Size), range.Content.Headers.ContentRange);
            Assert.Equal(blob.Slice(first, end), await range.Content.ReadAsByteArrayAsync(Cancel));
        }
        using (var outside = await PartAsync(blob.Size, null))
            Assert.Equal(HttpStatusCode.RequestedRangeNotSatisfiable, outside.StatusCode);

        // 4. Without a login.
        using var stranger = Front.Client(withLogin: false);
        foreach (var ping in new[] { "_ping", "v1/_ping" })
            using (var pong = await stranger.GetAsync($"{front.Url}/{ping}", Cancel))
                Assert.Equal(HttpStatusCode.OK, pong.StatusCode);
        var refused = withPasswords ? HttpStatusCode.Unauthorized : HttpStatusCode.OK;
        Assert.Equal(refused, await StatusAsync(stranger, HttpMethod.Get, $"{front.Url}/v2/", null));
        Assert.Equal(refused, await StatusAsync(stranger, HttpMethod.Get, path, null));
        Assert.Equal(refused, await StatusAsync(stranger, HttpMethod.Get, path, PasswordFile.Basic("alice", "wrong")));
        Assert.Equal(
            withPasswords ? HttpStatusCode.Unauthorized : HttpStatusCode.Accepted,
            await StatusAsync(stranger, HttpMethod.Post, $"{front.Url}/v2/local/app/blobs/uploads/", null));

        // 5. The server knows who asks, also where a client claims to be another one.
        if (!isOld)
        {
            using var claim = new HttpRequestMessage(HttpMethod.Get, $"{front.Url}/_ping");
            claim.Headers.Add("X-Forwarded-For", "192.0.2.77");
            using var claimed = await http.SendAsync(claim, Cancel);
            Assert.Equal(HttpStatusCode.OK, claimed.StatusCode);
            Assert.DoesNotContain(registry.Mirror.Log, line => line.Contains("192.0.2.77", StringComparison.Ordinal));
        }
        if (!withPasswords)
            Figures.Report(string.Create(
                CultureInfo.InvariantCulture,
                $"{program}: {blob.Size >> 20} MiB pushed in {pushed.TotalSeconds:F1} s and pulled in {pulled.TotalSeconds:F1} s; at most ")
                + $"{front.PeakResident >> 20} MiB of memory in the front, {registry.Mirror.PeakResident >> 20} MiB in the server");

        Task<HttpResponseMessage> PartAsync(long? from, long? to)
        {
            var part = new HttpRequestMessage(HttpMethod.Get, path);
            part.Headers.Range = new RangeHeaderValue(from, to);
            return http.SendAsync(part, Cancel);
        }
    }

    private static async Task<HttpResponseMessage> SendAsync(
        HttpClient http, HttpMethod method, Front front, HttpResponseMessage before, HttpContent? body, string query = "")
    {
        var location = new UriBuilder(new Uri(new Uri(front.Url), before.Headers.Location!));
        location.Query = location.Query.Length > 1 ? $"{location.Query[1..]}&{query}".TrimEnd('&') : query;
        using var request = new HttpRequestMessage(method, location.Uri) { Content = body };
        if (body is not null)
            body.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        request.Headers.TransferEncodingChunked = body is BlobBody { IsLengthKnown: false } ? true : null;
        return await http.SendAsync(request, Cancel);
    }

    private static async Task<HttpStatusCode> StatusAsync(HttpClient http, HttpMethod method, string url, string? login)
    {
        using var request = new HttpRequestMessage(method, url);
        if (login is not null)
            request.Headers.TryAddWithoutValidation("Authorization", login);
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
        return response.StatusCode;
    }

    private static async Task<Storage.Digest> DigestOfAsync(Stream body)
    {
        using var hash = Storage.Digest.NewHash("sha256");
        var buffer = new byte[256 << 10];
        while (await body.ReadAsync(buffer, Cancel) is > 0 and var read)
            hash.AppendData(buffer, 0, read);
        return Storage.Digest.FromHash("sha256", hash.GetCurrentHash());
    }
}
