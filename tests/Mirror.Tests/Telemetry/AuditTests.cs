using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Access;
using Mirror.Tests.Peers;
using Xunit;
using static Mirror.Tests.Access.TokenForge;

namespace Mirror.Tests.Telemetry;

/// <summary><c>log.audit.path</c>: who changed what, and who was refused.</summary>
public sealed class AuditTests : IAsyncDisposable
{
    private const string Rules = """
        access:
          rules:
          - {who: {users: [erin]}, repositories: ["**"], actions: [pull, push, delete, list]}
          - {who: {users: [alice]}, repositories: ["a/**"], actions: [pull]}

        """;

    private static readonly Digest Blob = Digest.Of("blob"u8);
    private readonly TempFolder _folder = new();
    private MirrorProcess _registry = null!;

    private string Path => _folder["audit.jsonl"];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
            await _registry.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Each_change_and_each_refusal_is_a_line_with_who_from_where_what_and_by_which_rule_and_no_secret()
    {
        await StartAsync();
        await SendAsync("GET", "a/app/tags/list", "erin");
        await SendAsync("POST", $"a/app/blobs/uploads/?digest={Blob}", "erin", "blob");
        await SendAsync("POST", $"b/app/blobs/uploads/?mount={Blob}&from=a/app", "erin");
        await SendAsync("PUT", "a/app/manifests/latest", "erin", Manifest);
        await SendAsync("DELETE", $"b/app/blobs/{Blob}", "erin");
        await SendAsync("POST", "a/app/blobs/uploads/", "alice");
        await SendAsync("GET", "a/app/tags/list", "alice", password: "wrong-secret");

        var lines = await LinesAsync(6);
        Assert.Equal(["push", "mount", "push", "delete", "denied", "login_refused"], lines.Select(line => Of(line, "event")));
        Assert.Equal(["erin", "erin", "erin", "erin", "alice", "alice"], lines.Select(line => Of(line, "user")));
        Assert.Equal(["a/app", "b/app", "a/app", "b/app", "a/app", "a/app"], lines.Select(line => Of(line, "repository")));
        Assert.All(lines[..4], line => Assert.Equal("access.rules.0", Of(line, "rule")));
        Assert.All(lines, line => Assert.Equal("127.0.0.1", Of(line, "address")));
        Assert.Equal("a/app", Of(lines[1], "from"));
        Assert.Equal("latest", Of(lines[2], "target"));
        Assert.Equal(Digest.Of(Encoding.UTF8.GetBytes(Manifest)).ToString(), Of(lines[2], "digest"));
        Assert.Equal("push", Of(lines[4], "action"));
        Assert.Contains("no rule in access.rules lets alice", Of(lines[4], "reason"), StringComparison.Ordinal);
        var text = await File.ReadAllTextAsync(Path, Cancel);
        Assert.DoesNotContain("wrong-secret", text, StringComparison.Ordinal);
        Assert.DoesNotContain("Basic", text, StringComparison.Ordinal);
    }

    // Programs that ship logs read pipes.
    [Fact]
    public async Task A_pipe_that_no_program_reads_stops_neither_requests_nor_the_end_of_the_server()
    {
        await PeerProcess.RunAsync("mkfifo", [Path]);
        await StartAsync();
        // A pipe holds 64 KiB on Linux, and a line has more than 200 bytes.
        for (var i = 0; i < 400; i++)
            await SendAsync("POST", "a/app/blobs/uploads/", "alice");
        await _registry.StopAsync();

        await _registry.StartAgainAsync();
        await using var reader = new FileStream(Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        await SendAsync("GET", "a/app/tags/list", "alice", password: "wrong-secret");
        var buffer = new byte[4096];
        var line = Encoding.UTF8.GetString(buffer, 0, await reader.ReadAsync(buffer, Cancel));
        Assert.Contains("login_refused", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_rule_in_a_line_is_one_that_let_the_request_pass()
    {
        MirrorProcess.Availability.OrSkip();
        using var key = RSA.Create(2048);
        using var certificate = SelfSigned("token server", key);
        _registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            More = Section(_folder, certificate) + """
                access:
                  rules:
                  - {who: {users: [alice]}, repositories: ["**"], actions: [push]}
                  - {who: {anonymous: true}, repositories: ["open/**"], actions: [push]}

                """,
            Environment = new Dictionary<string, string> { ["REGISTRY_LOG_AUDIT_PATH"] = Path },
        });
        foreach (var rights in (string[][])[["repository:open/app:pull,push"], []])
        {
            var token = Sign(Header("RS256", ("kid", Thumbprint(key))), Claims(rights), Rs256(key));
            using var request = new HttpRequestMessage(
                HttpMethod.Post, new Uri(_registry.Url, $"/v2/open/app/blobs/uploads/?digest={Blob}"));
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
            request.Content = new ByteArrayContent("blob"u8.ToArray());
            using var response = await Http.Client.SendAsync(request, Cancel);
            Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        }
        // The token without rights does not let alice push: the rule for every client does.
        Assert.Equal(["access.rules.0", "access.rules.1"], (await LinesAsync(2)).Select(line => Of(line, "rule")));
    }

    [Fact]
    public async Task After_SIGHUP_lines_go_to_a_new_file_of_the_name()
    {
        await StartAsync();
        await SendAsync("POST", $"a/app/blobs/uploads/?digest={Blob}", "erin", "blob");
        await LinesAsync(1);
        File.Move(Path, Path + ".1");
        await _registry.ReloadAsync(settings => settings);
        await SendAsync("DELETE", $"a/app/blobs/{Blob}", "erin");
        Assert.Equal("delete", Of(Assert.Single(await LinesAsync(1)), "event"));
    }

    private const string Manifest = """
        {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}
        """;

    private async Task StartAsync()
    {
        MirrorProcess.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Hosted = null,
            More = PasswordFile.Section(_folder) + Rules,
            Environment = new Dictionary<string, string> { ["REGISTRY_LOG_AUDIT_PATH"] = Path },
        });
    }

    private async Task SendAsync(string method, string path, string user, string? body = null, string password = PasswordFile.Password)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(_registry.Url, $"/v2/{path}"));
        request.Headers.TryAddWithoutValidation("Authorization", PasswordFile.Basic(user, password));
        if (body is not null)
        {
            request.Content = new StringContent(body);
            request.Content.Headers.ContentType = new(method == "PUT" ? MediaTypes.OciIndex : "application/octet-stream");
        }
        using var response = await Http.Client.SendAsync(request, Cancel);
        Assert.NotEqual(HttpStatusCode.InternalServerError, response.StatusCode);
    }

    // A line is written when its request has been answered, and the client may be faster.
    private async Task<List<JsonElement>> LinesAsync(int count)
    {
        await Until.TrueAsync(
            async () => File.Exists(Path) && (await File.ReadAllLinesAsync(Path, Cancel)).Length >= count,
            () => File.Exists(Path) ? File.ReadAllText(Path) : "no file");
        return [.. (await File.ReadAllLinesAsync(Path, Cancel)).Select(line => JsonDocument.Parse(line).RootElement)];
    }

    private static string? Of(JsonElement line, string name) => line.TryGetProperty(name, out var value) ? value.GetString() : null;
}
