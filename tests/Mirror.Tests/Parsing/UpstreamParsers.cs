using System.Net;
using System.Text;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Logging.Abstractions;
using Mirror.Configuration;
using Mirror.Search;
using Mirror.Storage;
using Mirror.Tls.Acme;
using Mirror.Upstream;
using Xunit;
using static Mirror.Tests.Parsing.Parser;
using static Mirror.Tests.Parsing.ParserInputs;

namespace Mirror.Tests.Parsing;

/// <summary>The parsers of what other servers answer: registries, token services, certificate authorities.</summary>
internal static class UpstreamParsers
{
    private static readonly UpstreamOrigin Origin = new(new UpstreamOptions { RemoteUrl = new("https://registry.example") }, "registry");

    private const string Directory = "\n{\"newNonce\":\"https://a/n\",\"newAccount\":\"https://a/a\",\"newOrder\":\"https://a/o\"}";

    public static readonly Dictionary<string, Parser> Rows = new()
    {
        ["challenge"] = new(
            ["Bearer realm=\"https://auth.example/token\",service=\"registry\",scope=\"a:b:pull\"", "Basic realm=x", "Bearer realm=x"],
            static (_, text) => Challenges(text)),
        ["link"] = new(
            [
                "</v2/a?last=b&n=1>; rel=\"next\"", "<https://other.example/x>; rel=prev, </y>", "<>; rel=next", "/v2/a?last=b",
                "/v2/a; rel=next", "<",
            ],
            static (_, text) => Links(text)),
        ["location"] = new(
            ["/v2/a", "https://b.example/x%2f?y=z#w", "//c/d", "?e", "f/../g", "mailto:h"],
            static (_, text) => UrlReference.Resolve(new("https://a.example/v2/b/c?d"), text)),
        ["retry-after"] = new(["7", "Wed, 21 Oct 2065 07:28:00 GMT", "99999999999"], static (_, text) => Pauses(text)),
        ["rate-limit"] = new(["100;w=21600", "76"], static (_, text) => Limits(text)),
        ["upstream-headers"] = new(
            [
                $"Docker-Content-Digest: sha256:{Hex}", "Content-Range: bytes 5-9/10", "Content-Type: application/json",
                "Content-Length: 0",
            ],
            static (_, text) => Headers(text)),
        ["token-answer"] = new(
            ["""{"token":"a","expires_in":300}""", """{"access_token":"b","expires_in":"60"}""", """{"TOKEN":null}"""],
            static (_, text) => Refused<UpstreamUnavailableException>(() =>
            {
                var answer = Parse(text, UpstreamJson.Default.TokenBody);
                Assert.True(answer.Value is null or not "");
                Assert.IsNotType<string>(answer.Seconds);
            })),
        ["tags-answer"] = new(
            ["""{"name":"a","tags":["b","c"]}""", """{"tags":null}"""],
            static (_, text) => Refused<UpstreamUnavailableException>(
                () => Assert.All(Parse(text, UpstreamJson.Default.TagsBody).Tags ?? [], tag => Reference.IsTagName(tag)))),
        ["credential-helper"] = new(
            ["""{"ServerURL":"a","Username":"b","Secret":"c"}"""],
            static (_, text) => Refused<FormatException>(
                () => Assert.NotNull(CredentialHelper.Parse(Encoding.UTF8.GetString(FuzzText.Bytes(text)))))),
        ["search-answer"] = new(
            [
                """{"results":[{"name":"a","description":"b","star_count":3,"is_official":true},{"name":"c"},{"name":null}]}""",
                """{"num_results":0,"results":[]}""",
            ],
            static (place, text) => Searches(place, text), IsSlow: true),
        ["acme-directory"] = new(
            [Directory, "Retry-After: 7\nReplay-Nonce: a\n" + Directory, "\n{\"meta\":{\"externalAccountRequired\":true}}"],
            static (place, text) => Directories(place, text), IsSlow: true),
        ["acme-order"] = new(
            [
                "Replay-Nonce: a\nLocation: https://a/1\n\n"
                    + "{\"status\":\"pending\",\"authorizations\":[\"https://a/z\"],\"finalize\":\"https://a/f\","
                    + "\"challenges\":[{\"type\":\"http-01\",\"url\":\"https://a/c\",\"token\":\"tttt\"}],"
                    + "\"identifier\":{\"type\":\"dns\"}}",
                "Replay-Nonce: a\nLocation: /1\n\n"
                    + "{\"status\":\"valid\",\"certificate\":\"https://a/x\",\"authorizations\":[],\"finalize\":\"https://a/f\"}",
                "Replay-Nonce: a\nLocation: /1\n\n"
                    + "{\"status\":\"invalid\",\"error\":{\"type\":\"urn:ietf:params:acme:error:dns\",\"detail\":\"d\"}}",
                "Replay-Nonce: a\nLocation: /1\n\n{\"status\":\"ready\",\"authorizations\":[\"https://a/z\"],\"finalize\":\"https://a/f\"}",
            ],
            static (place, text) => Orders(place, text, status: 200), IsSlow: true),
        ["acme-problem"] = new(
            [
                "Retry-After: 7\n\n{\"type\":\"urn:ietf:params:acme:error:badNonce\",\"detail\":\"no\"}",
                "Replay-Nonce: a\n\n{\"type\":\"urn:ietf:params:acme:error:rateLimited\",\"detail\":\"no\"}", "<html>",
            ],
            static (place, text) => Orders(place, text, status: 400), IsSlow: true),
    };

    private static T Parse<T>(string text, JsonTypeInfo<T> type) => UpstreamRequest.Parse(FuzzText.Bytes(text), type, Origin);

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
        Assert.Null(NextPage.Of(response));
        if (response.Headers.TryAddWithoutValidation("Link", text))
            Refused<UpstreamUnavailableException>(() => Assert.Equal(host, NextPage.Of(response)?.Host ?? host));
    }

    private static void Pauses(string text)
    {
        foreach (var date in new DateTimeOffset?[] { null, DateTimeOffset.UnixEpoch.AddYears(95) })
        {
            using var response = new HttpResponseMessage();
            response.Headers.Date = date;
            Assert.Null(UpstreamRequest.RetryAfter(response, TimeProvider.System));
            if (response.Headers.TryAddWithoutValidation("Retry-After", text)
                && UpstreamRequest.RetryAfter(response, TimeProvider.System) is { } pause)
                Assert.InRange(pause, TimeSpan.FromTicks(1), TimeSpan.FromHours(6));
        }
    }

    private static void Limits(string text)
    {
        using var response = new HttpResponseMessage();
        Assert.Null(MeteringHandler.Number(response, "ratelimit-limit"));
        if (response.Headers.TryAddWithoutValidation("ratelimit-limit", text))
            Assert.InRange(MeteringHandler.Number(response, "ratelimit-limit") ?? 0, 0, long.MaxValue);
    }

    private static void Headers(string text)
    {
        using var response = new HttpResponseMessage(HttpStatusCode.PartialContent) { Content = new ByteArrayContent([]) };
        foreach (var line in text.Split('\n'))
            if (line.Split(": ", 2) is [{ Length: > 0 } header, var value])
                _ = response.Headers.TryAddWithoutValidation(header, value)
                    || response.Content.Headers.TryAddWithoutValidation(header, value);
        foreach (var reference in new[] { "latest", $"sha256:{Hex}" })
            UpstreamAnswers.DigestIn(response, Reference.Parse(reference));
        for (var status = 0; status < 1000; status++)
        {
            response.StatusCode = (HttpStatusCode)status;
            var mustRetry = UpstreamAnswers.MustRetryWithoutRange(response, 5);
            // What can have no other reason than the range is never taken for the final answer.
            Assert.True(mustRetry || status == 206 || !UpstreamAnswers.RefusesRanges(response));
            UpstreamAnswers.LacksReferrers(response);
        }
        UpstreamAnswers.IsRegistryError(FuzzText.Bytes(text));
        UpstreamAnswers.ErrorMessage(FuzzText.Bytes(text));
        UpstreamAnswers.HasNoList(FuzzText.Bytes(text));
        UpstreamAnswers.IsManifestType(UpstreamAnswers.TypeOf(response));
        foreach (var digest in new[] { Digest.Of("x"u8), Digest.Of([]) })
            UpstreamAnswers.PlausibleLength(response.Content.Headers.ContentLength, digest);
    }

    private static void Searches(ParserPlace place, string text)
    {
        place.Server.Answer = _ => new([], FuzzText.Bytes(text));
        foreach (var address in new[] { place.Server.Url, place.Server.Url, null })
        {
            using var source = new SourceIndex(
                new SearchOptions { SourceIndex = address }, TimeProvider.System, NullLogger<SourceIndex>.Instance);
            Assert.All(source.FindAsync("a", 10, CancellationToken.None).GetAwaiter().GetResult(), found => Assert.NotEmpty(found.Name));
        }
    }

    private static void Directories(ParserPlace place, string text)
    {
        foreach (var (status, email) in new[] { (200, "a@b.example"), (200, null), (503, null) })
        {
            var answers = Answers(text);
            using var session = Session(place, new HurriedTime(), _ => Next(answers) with { Status = status }, email);
            if (email is null)
                session.Registered = terms => Assert.NotEqual("\0", terms);
            // The second time the directory is known, if the first was read.
            for (var i = 0; i < 2; i++)
                Refused<AcmeException>(() => session.OpenAsync(CancellationToken.None));
        }
    }

    private static void Orders(ParserPlace place, string text, int status)
    {
        var time = new HurriedTime();
        // An order that is never decided would be asked for until the attempt's ten minutes are over.
        var left = 30;
        var folder = new CertificateFolder(place.Folder.Folder("acme"));
        foreach (var byFile in new[] { true, false })
        {
            left = 30;
            var answers = Answers(text);
            using var session = Session(place, time, request =>
                request.RequestUri!.AbsolutePath == "/dir" ? RawAnswer.Of(Directory)
                : request.Method == HttpMethod.Head ? RawAnswer.Of(answers.Peek())
                : Next(answers) with { Status = left-- > 0 ? status : 404 });
            folder.ForgetOrder("localhost");
            // The second time goes on with the order that is left from the first.
            for (var i = 0; i < 2; i++)
                Refused<AcmeException>(() => new Issuance(session, folder, new Challenges(), byFile, time)
                    .ObtainAsync("localhost", CancellationToken.None));
        }
    }

    // One answer to all requests, or several in turn, of which the last one is given again.
    private static Queue<string> Answers(string text) => new(text.Split("\n---\n"));

    private static RawAnswer Next(Queue<string> answers) => RawAnswer.Of(answers.Count > 1 ? answers.Dequeue() : answers.Peek());

    private static AcmeSession Session(
        ParserPlace place, HurriedTime time, Func<HttpRequestMessage, RawAnswer> answer, string? email = "a@b.example") => new(
        // The product's limit of an answer is larger.
        new HttpClient(new AnswerHandler(answer)) { MaxResponseContentBufferSize = 10_000 }, new("https://a/dir"), email,
        () => new CertificateFolder(place.Folder.Folder("acme")).Account(), time);
}

/// <summary>A clock on which every wait is over at once.</summary>
internal sealed class HurriedTime : TimeProvider
{
    private long _ticks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Volatile.Read(ref _ticks);

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddYears(60).AddTicks(GetTimestamp());

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        if (dueTime > TimeSpan.Zero)
            Interlocked.Add(ref _ticks, dueTime.Ticks);
        return System.CreateTimer(callback, state, TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }
}
