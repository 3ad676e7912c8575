using System.Net;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Access;

/// <summary><c>auth.silly</c>, beside docker-registry.</summary>
public sealed class SillyTests
{
    private const string Auth = "auth: {silly: {realm: \"https://tokens.example/token\", service: registry.example}}\n";

    [Fact]
    public async Task It_challenges_as_docker_registry_and_lets_any_header_in()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        await using var docker = await DockerRegistry.StartAsync(more: Auth);
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings { More = Auth });
        foreach (var (method, path) in new[]
        {
            ("GET", ""), ("GET", "_catalog"), ("GET", "team/app/tags/list"), ("POST", "team/app/blobs/uploads/"),
            ("PUT", "team/app/manifests/1"), ("DELETE", "team/app/manifests/1"), ("POST", "team/app/blobs/uploads/?from=team/base"),
        })
            foreach (var header in new[] { null, "", "x", "Basic x" })
                Assert.Equal(await AskAsync(docker.Url, method, path, header), await AskAsync(registry.Url, method, path, header));
        Assert.Equal((false, null), await AskAsync(registry.Url, "GET", "", "anything"));
        await registry.UntilLoggedAsync(line => line.Contains("auth.silly lets in every client", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Realm_and_service_may_have_any_letters()
    {
        MirrorProcess.Availability.OrSkip();
        const string auth = "auth: {silly: {realm: \"K\u00F6ln \\\"\u2713\\\"\", service: \"Registry \u00DC\"}}\n";
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings { More = auth });
        Assert.Equal(
            (true, "Bearer realm=\"K?ln \\\"?\\\"\",service=\"Registry ?\""), await AskAsync(registry.Url, "GET", "", null));
    }

    [Fact]
    public async Task It_is_chosen_by_variables_too()
    {
        MirrorProcess.Availability.OrSkip();
        await using var registry = await MirrorProcess.StartAsync(new MirrorSettings
        {
            Environment = new Dictionary<string, string>
            {
                ["REGISTRY_AUTH"] = "silly",
                ["REGISTRY_AUTH_SILLY_REALM"] = "r",
                ["REGISTRY_AUTH_SILLY_SERVICE"] = "s",
            },
        });
        Assert.Equal((true, "Bearer realm=\"r\",service=\"s\""), await AskAsync(registry.Url, "GET", "", null));
    }

    private static async Task<(bool Refused, string? Challenge)> AskAsync(Uri registry, string method, string path, string? header)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(registry, $"/v2/{path}"));
        if (header is not null)
            request.Headers.TryAddWithoutValidation("Authorization", header);
        using var response = await Http.Client.SendAsync(request, TestContext.Current.CancellationToken);
        return response.StatusCode == HttpStatusCode.Unauthorized
            ? (true, response.Headers.NonValidated["WWW-Authenticate"].ToString())
            : (false, null);
    }
}
