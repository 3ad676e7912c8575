using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Mirror.Tests.Push;
using Mirror.Tests.Resilience;
using Mirror.Web;
using Xunit;

namespace Mirror.Tests.Access;

/// <summary>
/// Who may do what, from where: every route of the registry, every call of the API and every page, for each kind of client, at the
/// registry's address, behind a front on this machine, and on the debug address. The server itself lists its routes, so that a new one
/// without a row here fails the test.
/// </summary>
public sealed partial class AccessTableTests : IAsyncDisposable
{
    private const string Rules = """
        access:
          rules:
          - {who: {anonymous: true}, repositories: ["open/**"], actions: [pull]}
          - {who: {users: [alice]}, repositories: ["local/a/**"], actions: [pull, push, list, admin]}
          - {who: {users: [robot-*]}, repositories: ["**"], actions: [pull]}
          - {who: {users: [erin]}, repositories: ["**"], actions: [pull, push, delete, list, admin]}

        """;

    private const string Anonymous = "no login", Wrong = "wrong password", Token = "administrator's token";
    private const string Upload = "61c9a2ba-1d38-4d42-9a0b-0f5a0c2b0c36";

    private static readonly Digest Blob = Digest.Of("{}"u8);
    private static readonly string[] Repositories = ["open/app", "local/a/app", "local/b/app"];

    // What each client may do in each repository. p: pull, w: push, d: delete, l: list, m: administer.
    private static readonly Dictionary<string, string[]> Rights = new()
    {
        [Anonymous] = ["p", "", ""],
        [Wrong] = ["p", "", ""],
        [Token] = ["p", "", ""],
        ["mallory"] = ["p", "", ""],
        ["robot-1"] = ["p", "p", "p"],
        ["alice"] = ["p", "pwlm", ""],
        ["erin"] = ["pwdlm", "pwdlm", "pwdlm"],
    };

    // The path of each kind of route, and the right that each of its methods needs. s: a login, -: nothing, l: in any repository,
    // t: no wrong login.
    private static readonly Dictionary<RouteKind, (string Path, Dictionary<string, char> Methods)> Routes = new()
    {
        [RouteKind.Base] = ("/v2/", new() { ["GET"] = 's', ["HEAD"] = 's' }),
        [RouteKind.Catalog] = ("/v2/_catalog", new() { ["GET"] = 'l', ["HEAD"] = 'l' }),
        [RouteKind.Tags] = ("/v2/NAME/tags/list", new() { ["GET"] = 'p', ["HEAD"] = 'p' }),
        [RouteKind.Referrers] = ($"/v2/NAME/referrers/{Blob}", new() { ["GET"] = 'p', ["HEAD"] = 'p' }),
        [RouteKind.Manifest] = (
            $"/v2/NAME/manifests/{Digest.Of("none"u8)}", new() { ["GET"] = 'p', ["HEAD"] = 'p', ["PUT"] = 'w', ["DELETE"] = 'd' }),
        [RouteKind.Blob] = ($"/v2/NAME/blobs/{Digest.Of("none"u8)}", new() { ["GET"] = 'p', ["HEAD"] = 'p', ["DELETE"] = 'd' }),
        [RouteKind.BlobUpload] = ($"/v2/NAME/blobs/uploads/?digest={Digest.Of(""u8)}", new() { ["POST"] = 'w' }),
        [RouteKind.BlobUploadChunk] = (
            $"/v2/NAME/blobs/uploads/{Upload}",
            new() { ["GET"] = 'w', ["HEAD"] = 'w', ["PATCH"] = 'w', ["PUT"] = 'w', ["DELETE"] = 'w' }),
        [RouteKind.Token] = ("/auth/token", new() { ["GET"] = 't' }),
        [RouteKind.V1] = ("/v1/_ping", new() { ["GET"] = '-', ["HEAD"] = '-' }),
        [RouteKind.Other] = ("/", []),
    };

    private static readonly (string Method, string Path, char Right)[] MoreRoutes =
    [
        ("GET", "/", '-'), ("GET", "/_ping", '-'), ("GET", "/v1/users", 's'), ("POST", "/v1/users", 's'),
        ("GET", "/v1/search?q=app", 'l'),
    ];

    // m: administer the repository, s: the server, l: any repository. h: no client, because what was pushed is not purged (409).
    private static readonly Dictionary<string, (char Right, string Query)> Calls = new()
    {
        ["GET images"] = ('l', ""),
        ["GET images/history"] = ('m', "?image=NAME:1"),
        ["GET usage"] = ('s', ""),
        ["POST purge"] = ('h', ""),
        ["GET why"] = ('m', "?image=NAME:1"),
        ["GET eviction"] = ('s', "?limit=1"),
        ["POST pin"] = ('m', ""),
        ["POST unpin"] = ('m', ""),
        ["POST release"] = ('m', ""),
        ["POST warm"] = ('m', ""),
        ["GET clients"] = ('s', ""),
        ["POST reload"] = ('s', ""),
    };

    // -: every client, p: who may pull the image, m: who may administer it, s: who may administer the server, h: as above.
    private static readonly Dictionary<string, (char Right, string Query)> Pages = new()
    {
        [""] = ('-', ""),
        ["live"] = ('-', ""),
        ["live/events"] = ('-', ""),
        ["images"] = ('-', ""),
        ["image"] = ('p', "?image=NAME:1"),
        ["purge"] = ('h', "?image=NAME:1"),
        ["delete"] = ('m', "?image=NAME:1"),
        ["why"] = ('-', "?image=NAME:1"),
        ["upstreams"] = ('s', ""),
        ["clients"] = ('s', ""),
        ["settings"] = ('s', ""),
        ["login"] = ('-', ""),
    };

    // m: administer the image; d: and delete it; f: the form of a client that has one; h: as above.
    private static readonly Dictionary<string, char> Forms = new()
    {
        ["logout"] = 'f',
        ["pin"] = 'm',
        ["unpin"] = 'm',
        ["purge"] = 'h',
        ["warm"] = 'm',
        ["release"] = 'm',
        ["delete"] = 'd',
    };

    private readonly TempFolder _folder = new();
    private readonly List<string> _wrong = [];
    private HttpClient _http = null!;
    private MirrorProcess _registry = null!;
    private NginxFront? _front;
    private int _cells;
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        _http?.Dispose();
        if (_front is not null)
            await _front.DisposeAsync();
        if (_registry is not null)
            await _registry.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task No_cell_is_wrong()
    {
        MirrorProcess.Availability.OrSkip();
        NginxFront.Availability.OrSkip();
        _registry = await MirrorProcess.StartAsync(new MirrorSettings { More = PasswordFile.Section(_folder) + Rules });
        _front = await NginxFront.StartAsync(
            _registry.Authority,
            "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; "
            + "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;");
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false, UseCookies = false };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, presented, _, _) => presented is not null;
        _http = new HttpClient(handler);
        foreach (var name in Repositories)
            await PushAsync(name);
        await _registry.ImagesAsync(list => list.Length == Repositories.Length);

        var front = new Uri($"https://{_front.Authority}/");
        Uri[] places = Figures.Full ? [_registry.Url, front] : [front];
        foreach (var place in places)
            await RegistryAsync(place);
        foreach (var place in places.Append(_registry.Debug))
        {
            await CallsAsync(place);
            await PagesAsync(place);
        }
        Assert.True(_wrong.Count == 0, $"{_wrong.Count} of {_cells} cells are wrong:\n{string.Join('\n', _wrong)}");
        Assert.True(_cells > 1000, $"{_cells} cells");
    }

    private async Task RegistryAsync(Uri place)
    {
        foreach (var kind in Enum.GetValues<RouteKind>())
        {
            Assert.True(Routes.TryGetValue(kind, out var route), $"{kind} has no row");
            // The server says which methods the route has.
            using var options = await SendAsync(place, "OPTIONS", Named(route.Path, Repositories[0]), Anonymous);
            var methods = options.Content.Headers.Allow.Except(["OPTIONS"]).ToHashSet();
            Assert.True(kind is RouteKind.Other || methods.SetEquals(route.Methods.Keys), $"{kind}: {string.Join(' ', methods)}");
            foreach (var (method, right) in route.Methods)
                await EachAsync(place, method, route.Path, right);
        }
        foreach (var (method, path, right) in MoreRoutes)
            await EachAsync(place, method, path, right);
    }

    private async Task EachAsync(Uri place, string method, string path, char right)
    {
        foreach (var (who, rights) in Rights)
            foreach (var (i, name) in Repositories.Index())
                if (i == 0 || path.Contains("NAME", StringComparison.Ordinal))
                {
                    var may = right switch
                    {
                        '-' => true,
                        't' => who is not (Wrong or Token),
                        's' => !IsStranger(who),
                        'l' => rights.Any(each => each.Contains('l')),
                        _ => rights[i].Contains(right),
                    };
                    using var response = await SendAsync(place, method, Named(path, name), who);
                    Expect(place, $"{who}: {method} {path} {name}", response, may ? null : IsStranger(who) ? 401 : 403);
                }
    }

    private async Task CallsAsync(Uri place)
    {
        using var document = await SendAsync(place, "GET", "/mirror/v1/openapi.json", "erin");
        var paths = (await document.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("paths");
        var calls = paths.EnumerateObject().SelectMany(path => path.Value.EnumerateObject()
            .Select(method => $"{method.Name.ToUpperInvariant()} {path.Name["/mirror/v1/".Length..]}")).ToList();
        Assert.Equal(Calls.Keys.Order(), calls.Order());
        foreach (var (call, (right, query)) in Calls.Append(new("GET openapi.json", ('l', ""))))
            foreach (var (who, rights) in Rights)
                foreach (var (i, name) in Repositories.Index())
                    if (i == 0 || right is 'm' or 'h')
                    {
                        var (method, path) = (call.Split(' ')[0], call.Split(' ')[1]);
                        var may = right != 'h' && who == Token ? IsTokensPlace(place) : right switch
                        {
                            'h' => false,
                            's' => who == "erin",
                            'l' => rights.Any(each => each.Contains('m')),
                            _ => rights[i].Contains('m'),
                        };
                        // Of images that there are not, so that nothing changes.
                        var image = path == "release" ? $"{name}@{Blob}" : $"{name}:none";
                        var body = method != "POST" ? null
                            : JsonContent.Create(path == "warm" ? new { images = new[] { image } } : (object)new { image });
                        using var response = await SendAsync(
                            place, method, $"/mirror/v1/{path}{Named(query, name)}", who, body);
                        var isFutile = right == 'h' && (who == Token ? IsTokensPlace(place) : rights[i].Contains('m'));
                        Expect(
                            place, $"{who}: {call} {name}", response,
                            may ? null : isFutile ? 409 : IsRefusedLogin(who, place) ? 401 : 403);
                    }
    }

    private async Task PagesAsync(Uri place)
    {
        Assert.Equal(Pages.Keys.Order(), PageRoutes.Paths.Order());
        Assert.Equal(Forms.Keys.Order(), PageActions.Names.Order());
        foreach (var (who, rights) in Rights)
        {
            var holdsToken = who == Token && IsTokensPlace(place);
            string? form = null;
            foreach (var (page, (right, query)) in Pages)
                foreach (var (i, name) in Repositories.Index())
                    if (i == 0 || query.Length > 0)
                    {
                        var mine = holdsToken ? "pm" : rights[i];
                        var path = $"/ui/{page}{Named(query, name)}";
                        using var response = await SendAsync(place, "GET", path, who);
                        // What a client may not pull is not there for it.
                        int? refused = right switch
                        {
                            'p' or 'm' or 'h' when !mine.Contains('p') => 404,
                            'h' => mine.Contains('m') ? 409 : 403,
                            'm' when !mine.Contains('m') => 403,
                            's' when !holdsToken && who != "erin" => 403,
                            _ => null,
                        };
                        Expect(place, $"{who}: {path}", response, refused, refused is null ? 200 : null);
                        if (page == "image"
                            && FormToken().Match(await response.Content.ReadAsStringAsync(Cancel)) is { Success: true } found)
                            form = found.Groups[1].Value;
                    }
            foreach (var (action, right) in Forms)
                foreach (var (i, name) in Repositories.Index())
                {
                    var may = right != 'h'
                        && (holdsToken || form is not null
                            && (right == 'f' || rights[i].Contains('m') && (right == 'm' || rights[i].Contains('d'))));
                    using var fields = new FormUrlEncodedContent(
                    [
                        new("image", action == "release" ? $"{name}@{Blob}" : $"{name}:none"), new("tag", "none"), new("token", form ?? ""),
                    ]);
                    using var response = await SendAsync(place, "POST", $"/ui/{action}", who, fields);
                    var isFutile = right == 'h' && (holdsToken || form is not null && rights[i].Contains('m'));
                    Expect(place, $"{who}: POST /ui/{action} {name}", response, may ? null : isFutile ? 409 : 403);
                }
        }
    }

    private void Expect(Uri place, string cell, HttpResponseMessage response, int? refused, int? allowed = null)
    {
        _cells++;
        var status = (int)response.StatusCode;
        var isRight = (refused ?? allowed) is { } expected ? status == expected : status is not (401 or 403 or 500);
        if (!isRight)
            _wrong.Add($"{place} {cell}: {status} instead of {refused?.ToString() ?? allowed?.ToString() ?? "an answer"}");
    }

    private static string Named(string path, string name) => path.Replace("NAME", name, StringComparison.Ordinal);

    private static bool IsStranger(string who) => who is Anonymous or Wrong or Token;

    private bool IsRefusedLogin(string who, Uri place) => IsStranger(who) && !(who == Token && IsTokensPlace(place));

    private bool IsTokensPlace(Uri place) => place == _registry.Debug;

    private async Task<HttpResponseMessage> SendAsync(Uri place, string method, string path, string who, HttpContent? content = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(place, path));
        var login = who switch
        {
            Anonymous => null,
            Wrong => PasswordFile.Basic("erin", "wrong"),
            Token => _registry.AdminLogin,
            _ => PasswordFile.Basic(who),
        };
        if (login is not null)
            request.Headers.TryAddWithoutValidation("Authorization", login);
        request.Content = content ?? (method is "POST" or "PUT" or "PATCH" ? new ByteArrayContent([]) : null);
        return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
    }

    private async Task PushAsync(string name)
    {
        var repository = new PushedRepository(_registry, name);
        var login = ("Authorization", PasswordFile.Basic("erin"));
        using var blob = await repository.SendAsync("POST", $"blobs/uploads/?digest={Blob}", "{}"u8.ToArray(), null, login);
        Assert.Equal(HttpStatusCode.Created, blob.StatusCode);
        var (bytes, type) = (PushedRepository.Manifest(Blob), PushedRepository.OciManifest);
        using var manifest = await repository.SendAsync("PUT", "manifests/1", bytes, type, login);
        Assert.Equal(HttpStatusCode.Created, manifest.StatusCode);
    }

    [GeneratedRegex("""name="token" value="([^"]+)""")]
    private static partial Regex FormToken();
}
