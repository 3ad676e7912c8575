using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;
using Mirror.Access;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Health;
using Mirror.Hosting;
using Mirror.Maintenance;
using Mirror.Notifications;
using Mirror.PullThrough;
using Mirror.Redirects;
using Mirror.Registry;
using Mirror.Search;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary>What the registry asks an <see cref="IAccess"/> before it answers, and what it does with the answer.</summary>
public sealed class AccessTests : IAsyncLifetime
{
    private static readonly Digest Blob = Digest.Of("blob"u8);

    private readonly TempFolder _folder = new();
    private readonly Rules _rules = new();
    private ServiceProvider _services = null!;

    public ValueTask InitializeAsync()
    {
        var options = new MirrorOptions();
        options.Storage.Filesystem.RootDirectory = _folder.Path;
        options.Storage.Delete.Enabled = true;
        options.Log.AccessLog.Disabled = true;
        _services = new ServiceCollection().AddLogging().AddSingleton(TimeProvider.System)
            .AddMirrorMetrics().AddSingleton<AccessLog>().AddSingleton<AuditLog>()
            .AddMirrorOptions(options).AddStorage(options.Storage).AddSingleton<StoreWrites>()
            .AddFleet(options).AddRepositories(options.Proxy)
            .AddMaintenance(options.Storage, options.Proxy).AddRedirects().AddSearch(options.Search).AddRegistry()
            .AddNotifications(options).AddSingleton<IAccess>(_rules)
            .AddSingleton<IHostApplicationLifetime, ApplicationLifetime>()
            .BuildServiceProvider();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("GET", "/v2/", "Pull -")]
    [InlineData("GET", "/v2/_catalog", "List -")]
    [InlineData("GET", "/v2/a/b/tags/list", "Pull a/b")]
    [InlineData("GET", "/v2/a/b/referrers/DIGEST", "Pull a/b")]
    [InlineData("GET", "/v2/a/b/manifests/1", "Pull a/b")]
    [InlineData("HEAD", "/v2/a/b/manifests/1", "Pull a/b")]
    [InlineData("PUT", "/v2/a/b/manifests/1", "Push a/b")]
    [InlineData("DELETE", "/v2/a/b/manifests/1", "Delete a/b")]
    [InlineData("GET", "/v2/a/b/blobs/DIGEST", "Pull a/b")]
    [InlineData("HEAD", "/v2/a/b/blobs/DIGEST", "Pull a/b")]
    [InlineData("DELETE", "/v2/a/b/blobs/DIGEST", "Delete a/b")]
    [InlineData("POST", "/v2/a/b/blobs/uploads/?digest=DIGEST", "Push a/b")]
    [InlineData("GET", "/v2/a/b/blobs/uploads/61c9a2ba-1d38-4d42-9a0b-0f5a0c2b0c36", "Push a/b")]
    [InlineData("HEAD", "/v2/a/b/blobs/uploads/61c9a2ba-1d38-4d42-9a0b-0f5a0c2b0c36", "Push a/b")]
    [InlineData("PATCH", "/v2/a/b/blobs/uploads/61c9a2ba-1d38-4d42-9a0b-0f5a0c2b0c36", "Push a/b")]
    [InlineData("PUT", "/v2/a/b/blobs/uploads/61c9a2ba-1d38-4d42-9a0b-0f5a0c2b0c36", "Push a/b")]
    [InlineData("DELETE", "/v2/a/b/blobs/uploads/61c9a2ba-1d38-4d42-9a0b-0f5a0c2b0c36", "Push a/b")]
    [InlineData("BREW", "/v2/a/b/manifests/1", "Pull a/b")]
    [InlineData("GET", "/v2/NO/b/manifests/1", "Pull -")]
    public async Task Every_route_asks_before_it_answers(string method, string path, string question)
    {
        _rules.Allows = _ => false;
        var stranger = await SendAsync(method, path, user: null, body: "blob");
        Assert.Equal(StatusCodes.Status401Unauthorized, stranger.StatusCode);
        Assert.Equal($"Rules {question}", stranger.Headers.WWWAuthenticate);
        Assert.Equal(StatusCodes.Status403Forbidden, (await SendAsync(method, path, "eve", "blob")).StatusCode);
        Assert.Equal([$" {question}", $"eve {question}"], _rules.Asked);
        Assert.Empty(Directory.EnumerateFiles(_folder.Path, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Load_balancers_are_not_asked_for_credentials()
    {
        _rules.Allows = _ => false;
        Assert.Equal(StatusCodes.Status200OK, (await SendAsync("GET", "/", user: null)).StatusCode);
        Assert.Empty(_rules.Asked);
    }

    [Fact]
    public async Task The_catalog_lists_only_what_the_user_may_list()
    {
        foreach (var name in new[] { "a/1", "a/2", "b/1", "b/2" })
            await PushAsync(name);
        _rules.Allows = question => question is "eve List -" || question.StartsWith("eve List b/", StringComparison.Ordinal);
        var page = await SendAsync("GET", "/v2/_catalog?n=1", "eve");
        Assert.Equal("{\"repositories\":[\"b/1\"]}", Text(page));
        Assert.Equal("</v2/_catalog?last=b%2F1&n=1>; rel=\"next\"", page.Headers.Link);
        var last = await SendAsync("GET", "/v2/_catalog?n=1&last=b/1", "eve");
        Assert.Equal(("{\"repositories\":[\"b/2\"]}", ""), (Text(last), last.Headers.Link.ToString()));
    }

    [Theory]
    [InlineData("&from=open/app", StatusCodes.Status201Created)]
    [InlineData("&from=secret/app", StatusCodes.Status202Accepted)]
    [InlineData("", StatusCodes.Status201Created)]
    public async Task A_blob_is_mounted_from_what_the_user_may_pull(string from, int status)
    {
        await PushAsync("open/app");
        await PushAsync("secret/app");
        _rules.Allows = question => !question.Contains("secret", StringComparison.Ordinal);
        Assert.Equal(status, (await SendAsync("POST", $"/v2/mine/app/blobs/uploads/?mount={Blob}{from}", "eve")).StatusCode);
    }

    [Fact]
    public async Task A_blob_of_forbidden_repositories_only_is_not_mounted()
    {
        await PushAsync("secret/app");
        _rules.Allows = question => !question.Contains("secret", StringComparison.Ordinal);
        var answer = await SendAsync("POST", $"/v2/mine/app/blobs/uploads/?mount={Blob}", "eve");
        Assert.Equal(StatusCodes.Status202Accepted, answer.StatusCode);
    }

    private static string Text(HttpResponse response) => System.Text.Encoding.UTF8.GetString(((MemoryStream)response.Body).ToArray());

    private async Task PushAsync(string name)
    {
        var pushed = await SendAsync("POST", $"/v2/{name}/blobs/uploads/?digest=DIGEST", "owner", "blob");
        Assert.Equal(StatusCodes.Status201Created, pushed.StatusCode);
    }

    private async Task<HttpResponse> SendAsync(string method, string path, string? user, string body = "")
    {
        var url = path.Replace("DIGEST", Blob.ToString(), StringComparison.Ordinal).Split('?');
        var http = new DefaultHttpContext { Request = { Method = method, Path = url[0] }, Response = { Body = new MemoryStream() } };
        http.Request.QueryString = new QueryString(url.Length > 1 ? $"?{url[1]}" : "");
        http.Request.Body = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(body));
        http.Request.Headers.Authorization = user;
        await _services.GetRequiredService<RegistryPipeline>().InvokeAsync(http);
        return http.Response;
    }

    private sealed class Rules : IAccess
    {
        public List<string> Asked { get; } = [];

        public Func<string, bool> Allows { get; set; } = _ => true;

        public ValueTask<AccessUser?> AuthenticateAsync(HttpContext http, CancellationToken cancellationToken) =>
            new(http.Request.Headers.Authorization is [{ } user] ? new AccessUser(user) : null);

        public ValueTask<bool> AuthorizeAsync(
            AccessUser? user, RepositoryName? repository, AccessAction action, CancellationToken cancellationToken)
        {
            Asked.Add($"{user?.Name} {Question(repository, action)}");
            return new(Allows(Asked[^1]));
        }

        public Refusal Refuse(in RefusedRequest request) =>
            new(request.User is null ? $"Rules {Question(request.Repository, request.Action)}" : null, "no");

        private static string Question(RepositoryName? repository, AccessAction action) => $"{action} {repository?.ToString() ?? "-"}";
    }
}
