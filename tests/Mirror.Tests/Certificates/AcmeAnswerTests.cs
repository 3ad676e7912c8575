using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using Mirror.Hosting;
using Mirror.Tests.Peers;
using Mirror.Tls;
using Mirror.Tls.Acme;
using WireMock.RequestBuilders;
using WireMock.ResponseBuilders;
using WireMock.Server;
using Xunit;

namespace Mirror.Tests.Certificates;

/// <summary>What an authority, or a client that looks like one, may send that is not in RFC 8555.</summary>
public sealed class AcmeAnswerTests : IDisposable
{
    private const string BadNonce = """{"type":"urn:ietf:params:acme:error:badNonce","detail":"no"}""";

    private readonly WireMockServer _authority = WireMockServer.Start();
    private readonly TempFolder _folder = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("<html>", "sent another answer than ACME describes")]
    [InlineData("null", "sent another answer than ACME describes")]
    [InlineData("""{"newNonce":"x","newAccount":7}""", "sent another answer than ACME describes")]
    [InlineData("{}", "sent no directory of ACME")]
    [InlineData("long", "its answer is too long")]
    [InlineData("""{"newNonce":"URL/nonce","newAccount":"/account","newOrder":"URL/order"}""", "leads to /account")]
    [InlineData("""{"newNonce":"ftp://h/nonce","newAccount":"URL/account","newOrder":"URL/order"}""", "leads to ftp://h/nonce")]
    [InlineData("""{"newNonce":"URL/none","newAccount":"URL/account","newOrder":"URL/order"}""", "URL/none")]
    [InlineData("""{"newNonce":"URL/nonce","newAccount":"URL/account","newOrder":"URL/order"}""", "URL/account did not say where")]
    [InlineData("""{"newNonce":"a","newAccount":"b","newOrder":"c","meta":{"externalAccountRequired":true}}""", "external account binding")]
    public async Task A_wrong_directory_or_account_is_told_in_words(string directory, string words)
    {
        // Without a nonce, as the authority's own address for these is what is tried.
        _authority.Given(Request.Create().WithPath("/dir")).RespondWith(Response.Create().WithStatusCode(200)
            .WithBody(directory is "long"
                ? new string(' ', 300 << 10)
                : directory.Replace("URL", _authority.Url, StringComparison.Ordinal)));
        Answer("/nonce", 200, "");
        Answer("/account", 201, "{}");
        using var session = Session();
        var failure = await Assert.ThrowsAsync<AcmeException>(() => session.OpenAsync(Cancel));
        Assert.Contains(words.Replace("URL", _authority.Url, StringComparison.Ordinal), failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_time_to_ask_again_is_one_of_the_authority_s_clock()
    {
        var url = new Uri($"http://127.0.0.1:{Ports.Free()}");
        await using var server = await OwnServer.StartAsync(url, http =>
        {
            http.Response.StatusCode = 503;
            http.Response.Headers.Date = "Sun, 06 Nov 1994 08:49:37 GMT";
            http.Response.Headers.RetryAfter = "Sun, 06 Nov 1994 09:49:37 GMT";
            return Task.CompletedTask;
        });
        using var session = Session(url);
        var failure = await Assert.ThrowsAsync<AcmeException>(() => session.OpenAsync(Cancel));
        Assert.Equal(TimeSpan.FromHours(1), failure.RetryAfter);
    }

    [Fact]
    public async Task An_authority_that_takes_no_nonce_is_asked_25_times_and_no_more()
    {
        Directory();
        Answer("/account", 400, BadNonce);
        using var session = Session();
        Assert.Equal("badNonce", (await Assert.ThrowsAsync<AcmeException>(() => session.OpenAsync(Cancel))).Type);
        Assert.Equal(25, _authority.LogEntries.Count(entry => entry.RequestMessage!.Path == "/account"));
    }

    [Fact]
    public async Task A_limit_says_when_to_come_again()
    {
        Directory();
        _authority.Given(Request.Create().WithPath("/account")).RespondWith(Response.Create().WithStatusCode(429)
            .WithHeader("Retry-After", "7200").WithBody("""{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too\nmany"}"""));
        using var session = Session();
        var failure = await Assert.ThrowsAsync<AcmeException>(() => session.OpenAsync(Cancel));
        Assert.Equal(("rateLimited", TimeSpan.FromHours(2)), (failure.Type, failure.RetryAfter!.Value));
        Assert.EndsWith("too many", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refused_proof_says_why_and_leaves_no_order()
    {
        Directory();
        Answer("/account", 201, "{}", "/account/1");
        Answer("/order", 201, $$"""{"status":"pending","authorizations":["{{_authority.Url}}/proof"]}""", "/order/1");
        Answer("/challenge", 200, "{}");
        _authority.Given(Request.Create().WithPath("/proof")).InScenario("proof").WillSetStateTo("refused")
            .RespondWith(Reply(200, Proof("pending", "null")));
        _authority.Given(Request.Create().WithPath("/proof")).InScenario("proof").WhenStateIs("refused")
            .RespondWith(Reply(200, Proof("invalid", """{"type":"urn:ietf:params:acme:error:dns","detail":"no such name"}""")));
        using var session = Session();
        var issuance = new Issuance(session, Folder, new Challenges(), byFile: true, TimeProvider.System);
        var failure = await Assert.ThrowsAsync<AcmeException>(() => issuance.ObtainAsync("a.example", Cancel));
        Assert.Equal("dns", failure.Type);
        Assert.Contains("no such name", failure.Message, StringComparison.Ordinal);
        Assert.Null(Folder.Order("a.example"));
    }

    [Fact]
    public async Task An_order_that_was_cut_goes_on_in_the_next_attempt()
    {
        Directory();
        Answer("/account", 201, "{}", "/account/1");
        Answer("/order", 201, $$"""{"status":"pending","authorizations":["{{_authority.Url}}/away"]}""", "/order/1");
        Answer("/order/1", 200, $$"""{"status":"pending","authorizations":["{{_authority.Url}}/away"]}""");
        Answer("/away", 503, "");
        using var session = Session();
        var issuance = new Issuance(session, Folder, new Challenges(), byFile: true, TimeProvider.System);
        await Assert.ThrowsAsync<AcmeException>(() => issuance.ObtainAsync("a.example", Cancel));
        await Assert.ThrowsAsync<AcmeException>(() => issuance.ObtainAsync("a.example", Cancel));
        Assert.Single(_authority.LogEntries, entry => entry.RequestMessage!.Path == "/order");
        Assert.Single(_authority.LogEntries, entry => entry.RequestMessage!.Path == "/order/1");
    }

    [Fact]
    public async Task An_answer_that_no_authority_should_send_ends_the_attempt_and_not_the_server()
    {
        Directory();
        Answer("/account", 201, "{}", "/account/1");
        Answer("/order", 201, """{"status":"pending","authorizations":[null]}""", "/order/1");
        using var certificates = new ObtainedCertificates(
            LetsEncryptRegistration.NewClient(), new Uri($"{_authority.Url}/dir"), ["a.example"], null, byFile: true, Folder,
            new Challenges(), TimeProvider.System, NullLogger<ObtainedCertificates>.Instance);
        await certificates.StartAsync(Cancel);
        Assert.Null(await certificates.FindAsync("a.example", Cancel));
        await certificates.StopAsync(Cancel);
        Assert.False(certificates.ExecuteTask!.IsFaulted);
    }

    [Fact]
    public async Task A_clients_first_message_is_read_and_a_damaged_one_is_harmless()
    {
        var hello = await HelloAsync();
        Assert.Equal(hello.Length, ClientHello.LengthOf(hello.AsSpan(0, 5)));
        var (host, protocols) = ClientHello.Read(hello);
        Assert.Equal("a.example", host);
        Assert.Equal(["acme-tls/1"], protocols);
        Assert.True(ClientHello.OffersTls13(hello));
        Assert.False(ClientHello.OffersTls13([]));
        for (var i = 0; i < hello.Length; i++)
        {
            _ = ClientHello.Read(hello.AsSpan(0, i));
            byte[] damaged = [.. hello];
            damaged[i] ^= 0xFF;
            _ = ClientHello.Read(damaged);
            _ = ClientHello.OffersTls13(damaged.AsSpan(0, i));
        }
        Assert.Equal(0, ClientHello.LengthOf("GET /"u8));
        Assert.Equal(0, ClientHello.LengthOf([22, 3, 1, 255, 255]));
        Assert.Null(ClientHello.LengthOf([22, 3, 1]));
    }

    public void Dispose()
    {
        _authority.Dispose();
        _folder.Dispose();
    }

    private CertificateFolder Folder => new(_folder.Folder("cache"));

    private static string Proof(string status, string error) =>
        $$"""{"status":"{{status}}","challenges":[{"type":"http-01","url":"URL/challenge","token":"abc","error":{{error}}}]}""";

    private AcmeSession Session() => Session(new Uri($"{_authority.Url}"));

    private static AcmeSession Session(Uri authority) => new(LetsEncryptRegistration.NewClient(), new Uri(authority, "/dir"), null,
        () => new AccountKey(ECDsa.Create(ECCurve.NamedCurves.nistP256)), TimeProvider.System);

    private void Directory()
    {
        Answer("/dir", 200, $$"""
            {"newNonce":"{{_authority.Url}}/nonce","newAccount":"{{_authority.Url}}/account","newOrder":"{{_authority.Url}}/order"}
            """);
        Answer("/nonce", 200, "");
    }

    private void Answer(string path, int status, string body, string? location = null) =>
        _authority.Given(Request.Create().WithPath(path)).RespondWith(
            location is null ? Reply(status, body) : Reply(status, body).WithHeader("Location", location));

    private IResponseBuilder Reply(int status, string body) => Response.Create().WithStatusCode(status)
        .WithHeader("Replay-Nonce", "bm9uY2U").WithBody(body.Replace("URL", _authority.Url, StringComparison.Ordinal));

    // What a client sends first, as it is.
    private static async Task<byte[]> HelloAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint, Cancel);
        using var server = await listener.AcceptTcpClientAsync(Cancel);
        await using var tls = new SslStream(client.GetStream());
        var handshake = tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions { TargetHost = "a.example", ApplicationProtocols = [Challenges.Protocol] }, Cancel);
        var head = new byte[5];
        await server.GetStream().ReadExactlyAsync(head, Cancel);
        var record = new byte[ClientHello.LengthOf(head)!.Value];
        head.CopyTo(record, 0);
        await server.GetStream().ReadExactlyAsync(record.AsMemory(5), Cancel);
        server.Close();
        await Assert.ThrowsAnyAsync<Exception>(() => handshake);
        return record;
    }
}
