using System.Net;
using System.Text.RegularExpressions;
using Mirror.Storage;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Access;

/// <summary>
/// <c>auth.token</c> beside docker-registry 2.8 with the same file of certificates: every token of the table with every request, and both
/// decide alike and challenge alike, but for the differences that are listed here with their reasons.
/// </summary>
public sealed partial class TokenDecisionsTests : IAsyncLifetime
{
    private static readonly Digest Some = Digest.Of("some"u8);
    private const string LetIn = "let in";
    private const string Upload = "team/app/blobs/uploads/61c9a2ba-1d38-4d42-9a0b-0f5a0c2b0c36";

    private static readonly (string Method, string Path)[] Requests =
    [
        ("GET", ""), ("GET", "_catalog"), ("GET", "_catalog?n=1"),
        ("GET", "team/app/manifests/latest"), ("HEAD", "team/app/manifests/latest"), ("GET", $"team/app/manifests/{Some}"),
        ("GET", $"team/app/blobs/{Some}"), ("HEAD", $"team/app/blobs/{Some}"), ("GET", "team/app/tags/list"),
        ("GET", "team/app/tags/list?from=team/other"), ("PUT", "team/app/manifests/latest"), ("DELETE", $"team/app/manifests/{Some}"),
        ("DELETE", $"team/app/blobs/{Some}"), ("POST", "team/app/blobs/uploads/"), ("POST", "team/app/blobs/uploads/?from="),
        ("POST", $"team/app/blobs/uploads/?mount={Some}&from=team/other"), ("PATCH", Upload), ("PUT", $"{Upload}?digest={Some}"),
        ("DELETE", Upload), ("GET", Upload), ("GET", "team/other/tags/list"),
    ];

    // What differs, with the reason. A pattern of "token / method path".
    private static readonly (string Pattern, string Reason)[] Differences =
    [
        (@"list as audience / .*", "RFC 7519 allows a list, and registry:3 accepts it"),
        (@"exp has a fraction / .*", "RFC 7519 allows a fraction, and registry:3 accepts it"),
        (@"critical extension / .*", "RFC 7515, 4.1.11: a token with an extension that is not understood is invalid"),
        (@"64 KiB / .*", "all headers of a request together have 32 KiB at most (431)"),
        (@"PS256 / .*", "registry:3 accepts it"),
        (@"RFC 7638 kid \w+ / .*", "the name of registry:3; a token server for either version works"),
        (@".* / (GET|DELETE) team/app/blobs/uploads/6.*", "an upload is its pusher's: to ask for it and to cancel it is a push"),
    ];

    private readonly TempFolder _folder = new();
    private readonly TokenTable _table = new();
    private DockerRegistry _docker = null!;
    private MirrorProcess _registry = null!;

    public async ValueTask InitializeAsync()
    {
        MirrorProcess.Availability.OrSkip();
        DockerRegistry.Availability.OrSkip();
        var auth = $"""
            auth:
              token:
                realm: https://tokens.example/token
                service: {TokenForge.Service}
                issuer: {TokenForge.Issuer}
                rootcertbundle: {_folder.Write("bundle.pem", _table.Bundle)}
            """ + "\n";
        _docker = await DockerRegistry.StartAsync(more: auth);
        _registry = await MirrorProcess.StartAsync(new MirrorSettings { More = auth });
    }

    public async ValueTask DisposeAsync()
    {
        if (_registry is not null)
            await _registry.DisposeAsync();
        if (_docker is not null)
            await _docker.DisposeAsync();
        _table.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task Every_token_is_decided_as_by_docker_registry()
    {
        List<string> wrong = [];
        HashSet<string> seen = [];
        var (letIn, decisions) = (0, 0);
        foreach (var (what, authorization) in _table.Rows())
            foreach (var (method, path) in Requests)
            {
                var theirs = await DecideAsync(_docker.Url, method, path, authorization);
                var ours = await DecideAsync(_registry.Url, method, path, authorization);
                letIn += ours == LetIn ? 1 : 0;
                decisions++;
                if (theirs == ours)
                    continue;
                var row = $"{what} / {method} {path}";
                if (Array.Find(Differences, one => Regex.IsMatch(row, $@"\A{one.Pattern}\z")) is { Pattern: { } known })
                    seen.Add(known);
                else
                    wrong.Add($"{row}\n  docker-registry: {theirs}\n  this one:        {ours}");
            }
        Assert.True(wrong.Count == 0, $"{wrong.Count} decisions differ:\n{string.Join('\n', wrong)}");
        Assert.Equal(Differences.Select(one => one.Pattern).Order(), seen.Order());
        Assert.True(letIn > 100, $"{letIn} requests were let in.");
        Assert.True(decisions >= 300, $"{decisions} decisions were compared.");
    }

    private static async Task<string> DecideAsync(Uri registry, string method, string path, string? authorization)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(registry, $"/v2/{path}"));
        if (authorization is not null)
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        if (method is "PUT" or "POST" or "PATCH")
            request.Content = new ByteArrayContent([]);
        using var response = await Http.Client.SendAsync(request, TestContext.Current.CancellationToken);
        if (response.StatusCode is HttpStatusCode.Forbidden or HttpStatusCode.RequestHeaderFieldsTooLarge)
            return $"{response.StatusCode}";
        if (response.StatusCode != HttpStatusCode.Unauthorized)
            return LetIn;
        var challenge = response.Headers.NonValidated["WWW-Authenticate"].ToString();
        // docker-registry writes scopes and their actions in any order.
        return Scope().Replace(challenge, found => string.Join(' ', found.Value.Split(' ').Select(Sorted).Order()));
    }

    private static string Sorted(string scope)
    {
        var end = scope.LastIndexOf(':') + 1;
        return scope[..end] + string.Join(',', scope[end..].Split(',').Order());
    }

    [GeneratedRegex("(?<=scope=\")[^\"]*")]
    private static partial Regex Scope();
}
