using System.Net;
using System.Text;
using Mirror.Storage;
using Mirror.Tests.Access;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Telemetry;

/// <summary>A request that a setting refuses has a line that names the setting.</summary>
public sealed class RefusedBySettingsTests
{
    private const string Oci = "application/vnd.oci.image.manifest.v1+json";
    private const string Index = "application/vnd.oci.image.index.v1+json";
    private const string Schema1 = "application/vnd.docker.distribution.manifest.v1+json";

    private static readonly string Missing = $"sha256:{new string('0', 64)}";

    [Fact]
    public async Task The_line_of_a_request_that_a_setting_refuses_is_a_warning_that_names_the_setting()
    {
        MirrorProcess.Availability.OrSkip();
        using var folder = new TempFolder();
        await using var mirror = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Hosted = null,
            More = $$"""
                hosted: {max_size: 1MiB}
                catalog: {maxentries: 5}
                policy: {repository: {classes: [image]} }
                validation: {manifests: {urls: {allow: ["^https://ok/"]}, indexes: {platforms: all} } }
                access: {rules: [{who: {users: [alice]}, repositories: ["a/**"], actions: [pull, push, list]}]}
                {{PasswordFile.Section(folder)}}
                """,
        });
        var large = new byte[2 << 20];
        var config = $"{{\"mediaType\": \"application/vnd.oci.image.config.v1+json\", \"digest\": \"{Missing}\", \"size\": 2}}";

        await AssertAsync(HttpMethod.Post, $"a/x/blobs/uploads/?digest={Digest.Of(large)}", 403, "hosted.max_size", large);
        await AssertAsync(
            HttpMethod.Put, "a/x/manifests/1", 400, "validation.manifests.urls.allow",
            Json($"\"config\": {config}, \"layers\": [{{\"digest\": \"{Missing}\", \"size\": 3, \"urls\": [\"http://bad/\"], "
                + "\"mediaType\": \"application/vnd.oci.image.layer.nondistributable.v1.tar\"}]"), Oci);
        await AssertAsync(
            HttpMethod.Put, "a/x/manifests/1", 404, "validation.manifests.indexes.platforms",
            Json($"\"manifests\": [{{\"mediaType\": \"{Oci}\", \"digest\": \"{Missing}\", \"size\": 3}}]"), Index);
        await AssertAsync(
            HttpMethod.Put, "a/x/manifests/1", 403, "policy.repository.classes",
            Json($"\"config\": {config.Replace("image.config", "other", StringComparison.Ordinal)}, \"layers\": []"), Oci);
        await AssertAsync(
            HttpMethod.Put, "a/x/manifests/1", 400, "compatibility.schema1.enabled", "{\"schemaVersion\": 1}"u8.ToArray(), Schema1);
        await AssertAsync(HttpMethod.Post, "b/x/blobs/uploads/", 403, "access.rules");
        await AssertAsync(HttpMethod.Get, "b/x/manifests/1", 403, "access.rules");
        await AssertAsync(HttpMethod.Get, "_catalog?n=6", 400, "catalog.maxentries");

        // Each client asks so first, to learn how to log in.
        using var anonymous = await mirror.GetAsync("", ("X-Request-Id", "anonymous"));
        Assert.Equal(HttpStatusCode.Unauthorized, anonymous.StatusCode);
        await mirror.UntilLoggedAsync(line => IsOf(line, "anonymous") && line.Contains("level=info", StringComparison.Ordinal)
            && !line.Contains("advice=", StringComparison.Ordinal));
        // A blob that a manifest lacks is the client's mistake.
        await SendAsync(
            "mistake", HttpMethod.Put, "a/x/manifests/1", 404, Json($"\"config\": {config}, \"layers\": []"), Oci);
        await mirror.UntilLoggedAsync(line => IsOf(line, "mistake") && line.Contains("level=info", StringComparison.Ordinal));

        async Task AssertAsync(HttpMethod method, string path, int status, string key, byte[]? body = null, string? type = null)
        {
            var id = $"{method}-{key}";
            await SendAsync(id, method, path, status, body, type);
            await mirror.UntilLoggedAsync(line => IsOf(line, id) && line.Contains("level=warning", StringComparison.Ordinal)
                && line.IndexOf(" advice=\"", StringComparison.Ordinal) is >= 0 and var advice
                && line.IndexOf(key, advice, StringComparison.Ordinal) >= 0);
        }

        async Task SendAsync(string id, HttpMethod method, string path, int status, byte[]? body, string? type)
        {
            using var request = new HttpRequestMessage(method, new Uri(mirror.Url, $"/v2/{path}"));
            request.Headers.Add("X-Request-Id", id);
            request.Headers.Add("Authorization", PasswordFile.Basic("alice"));
            if (body is not null)
                request.Content = new ByteArrayContent(body) { Headers = { { "Content-Type", type ?? "application/octet-stream" } } };
            using var response = await Http.Client.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal((id, status), (id, (int)response.StatusCode));
        }
    }

    private static bool IsOf(string line, string id) =>
        line.Contains("response completed", StringComparison.Ordinal)
        && line.Contains($"http.request.xrequestid={id} ", StringComparison.Ordinal);

    private static byte[] Json(string members) => Encoding.UTF8.GetBytes($"{{\"schemaVersion\": 2, {members}}}");
}
