using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Mirror.Admin;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.Commands;

/// <summary>The options of the verbs that speak to a running server, and the requests to it.</summary>
/// <remarks>The address is <c>--server</c>, or else that of the configuration: <c>http.debug.addr</c>, or else <c>http.addr</c>.</remarks>
internal sealed class AdminConnection(IReadOnlyDictionary<string, string> environment)
{
    private readonly Option<string?> _config = new("--config", "-c")
    {
        Description = "The server's configuration file; else the one that DOCKER_REGISTRY_CONFIG or REGISTRY_CONFIGURATION_PATH "
            + "names.",
    };

    private readonly Option<string?> _server = new("--server")
    {
        Description = "The server's URL, as http://cache:5001; else the address in the configuration.",
    };

    private readonly Option<string?> _user = new("--user", "-u")
    {
        Description = "NAME:PASSWORD of a user whom access.rules let administer; else the token file is used.",
    };

    private readonly Option<string?> _token = new("--token-file")
    {
        Description = "A file with the token; else mirror/admin-token in the storage folder of the configuration.",
    };

    /// <summary>Adds the options to a verb.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _config, _server, _user, _token })
            command.Options.Add(option);
    }

    /// <summary>The configuration file that the option names; null for none.</summary>
    public string? FileOf(ParseResult parsed) => parsed.GetValue(_config);

    /// <summary>Makes the action of a verb: it opens a connection, and turns what fails into a line on stderr and an exit code.</summary>
    /// <param name="run">Returns the exit code.</param>
    /// <param name="file">An argument that names the configuration file as well; null for none.</param>
    public Func<ParseResult, CancellationToken, Task<int>> Action(
        Func<AdminServer, ParseResult, CancellationToken, Task<int>> run, Argument<string?>? file = null) =>
        async (parsed, cancellationToken) =>
        {
            var error = parsed.InvocationConfiguration.Error;
            try
            {
                using var server = Open(parsed, file);
                return await run(server, parsed, cancellationToken);
            }
            catch (AdminServerException failure)
            {
                await error.WriteLineAsync($"error: {failure.Message}");
                return failure.ExitCode;
            }
        };

    private AdminServer Open(ParseResult parsed, Argument<string?>? file)
    {
        var configuration = MirrorConfiguration.Load(
            parsed.GetValue(_config) ?? (file is null ? null : parsed.GetValue(file)), environment);
        var named = parsed.GetValue(_server);
        if (named is null && configuration.Errors.Count > 0)
            throw new AdminServerException($"{configuration.Source}: {configuration.Errors[0]}");
        var options = configuration.Options;
        var address = options.Http.Debug.Addr is { } debug ? ListenAddress.Parse(debug) : options.Http.Listen;
        Uri? url;
        if (named is null)
            url = LocalServer.UrlOf(
                address, options.Http, isTls: options.Http is { Debug.Addr: null, Tls.IsOn: true });
        else if (!Uri.TryCreate(named.TrimEnd('/') + "/", UriKind.Absolute, out url) || url.Scheme is not ("http" or "https"))
            throw new AdminServerException($"--server {named}: a URL with http:// or https:// is required", ExitCode.Usage);
        // The certificate in the configuration names the server's public name, and not this machine's own address.
        var host = named is null && options.Http.Debug.Addr is null ? LocalServer.HostOf(options.Http) : null;
        var login = LoginOf(parsed, options.Storage, out var whyNone);
        return new AdminServer(url, login, named is null ? address : null, host) { WhyNoLogin = whyNone };
    }

    private AuthenticationHeaderValue? LoginOf(ParseResult parsed, StorageOptions storage, out string? whyNone)
    {
        whyNone = null;
        if (parsed.GetValue(_user) is { } user)
            return user.Contains(':', StringComparison.Ordinal)
                ? BasicHeader.Of(user)
                : throw new AdminServerException("--user: NAME:PASSWORD is required", ExitCode.Usage);
        var given = parsed.GetValue(_token);
        var file = given ?? AdminToken.PathOf(storage);
        try
        {
            if (File.ReadAllText(file).Trim() is { Length: > 0 } token)
                return new("Bearer", token);
            whyNone = $"no token was sent, because the file {file} is empty";
            return given is null ? null : throw new AdminServerException($"--token-file: {file} is empty");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // The server may let this client in without a token: by its certificate, or because every client may.
            whyNone = $"no token was sent, because the file with it cannot be read ({failure.Reason}): name another one with "
                + "--token-file, or a user with --user";
            return given is null ? null : throw new AdminServerException($"--token-file: {failure.Message}");
        }
    }
}

/// <summary>A running server, as its administrator reaches it.</summary>
internal sealed class AdminServer : IDisposable
{
    // Until the headers of an answer. The longest work before them is to delete what a purge names.
    private static readonly TimeSpan MaxWait = TimeSpan.FromMinutes(10);

    private readonly Uri _url;
    private readonly HttpClient _http;

    /// <param name="url">What stands before <c>mirror/v1/</c>, with a slash at its end.</param>
    /// <param name="own">The address in the server's configuration; null where the user names another one.</param>
    /// <param name="host">The name to ask for; null where that of <paramref name="url"/> does.</param>
    public AdminServer(Uri url, AuthenticationHeaderValue? login, ListenAddress? own, string? host = null)
    {
        _url = new Uri(url, "mirror/v1/");
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = !url.IsLoopback,
            ConnectCallback = HappyEyeballs.ConnectAsync,
        };
#pragma warning disable CA5359
        if (own is not null && url.IsLoopback)
            handler.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        if (own is { } address)
            handler.ConnectTo(address);
        _http = new HttpClient(new ProxyLogin(handler)) { Timeout = MaxWait };
        _http.DefaultRequestHeaders.Authorization = login;
        _http.DefaultRequestHeaders.Host = host;
    }

    /// <summary>Why no login is sent, in words for the user; null if one is sent.</summary>
    public string? WhyNoLogin { get; init; }

    /// <summary>The document at a path, as the server sent it.</summary>
    /// <exception cref="AdminServerException">The server cannot be reached, or refuses.</exception>
    public async Task<string> GetTextAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Get, new Uri(_url, path)), cancellationToken);
        return await response.Content.ReadAsStringAsync(cancellationToken);
    }

    /// <inheritdoc cref="GetTextAsync"/>
    public async Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Get, new Uri(_url, path)), cancellationToken);
        return await ReadAsync(response, type, cancellationToken);
    }

    /// <summary>Posts a document, and returns the answer at its headers.</summary>
    /// <exception cref="AdminServerException">The server cannot be reached, or refuses.</exception>
    public Task<HttpResponseMessage> PostAsync<T>(string path, T body, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        SendAsync(
            new HttpRequestMessage(HttpMethod.Post, new Uri(_url, path)) { Content = JsonContent.Create(body, type) }, cancellationToken);

    /// <summary>Posts a document, and reads the one that is answered.</summary>
    /// <exception cref="AdminServerException">The server cannot be reached, or refuses.</exception>
    public async Task<TAnswer> PostAsync<T, TAnswer>(
        string path, T body, JsonTypeInfo<T> type, JsonTypeInfo<TAnswer> answer, CancellationToken cancellationToken)
    {
        using var response = await PostAsync(path, body, type, cancellationToken);
        return await ReadAsync(response, answer, cancellationToken);
    }

    public void Dispose() => _http.Dispose();

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        HttpResponseMessage response;
        try
        {
            using (request)
                response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        }
        catch (HttpRequestException failure)
        {
            throw new AdminServerException($"{_url} cannot be reached: {Reason(failure)}");
        }
        catch (OperationCanceledException slow) when (slow.InnerException is TimeoutException)
        {
            throw new AdminServerException(
                $"{_url} gave no answer within {MaxWait.TotalMinutes} minutes: check whether the server hangs, and start it again");
        }
        if (response.IsSuccessStatusCode)
            return response;
        using (response)
        {
            var (reason, code) = Reason(await response.Content.ReadAsStringAsync(cancellationToken));
            if (response.StatusCode == HttpStatusCode.Unauthorized && WhyNoLogin is { } why)
                reason += $". {why}";
            throw new AdminServerException(
                $"{_url} answered {(int)response.StatusCode}: {reason}",
                response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden ? ExitCode.Refused
                    : code is "NAME_INVALID" or "TAG_INVALID" or "DIGEST_INVALID" ? ExitCode.Usage
                    : ExitCode.Failed);
        }
    }

    private async Task<T> ReadAsync<T>(HttpResponseMessage response, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        try
        {
            return await response.Content.ReadFromJsonAsync(type, cancellationToken)
                ?? throw new AdminServerException($"{_url} sent an empty answer");
        }
        catch (JsonException)
        {
            throw new AdminServerException($"{_url} sent another answer than this server's API: check the address");
        }
    }

    // The innermost exception says what is wrong with a certificate.
    private static string Reason(HttpRequestException failure)
    {
        var cause = failure.GetBaseException().Reason;
        return failure.HttpRequestError switch
        {
            HttpRequestError.SecureConnectionError when TlsFault.IsPlainText(cause) =>
                $"{cause}: this port does not speak TLS, so write http://",
            HttpRequestError.SecureConnectionError =>
                $"TLS: {cause}. If an authority of your own signed the certificate, name its file in the variable SSL_CERT_FILE, or run "
                + "the command on the server's machine without --server",
            HttpRequestError.ResponseEnded or HttpRequestError.InvalidResponse => $"{cause}: if this port speaks TLS, write https://",
            HttpRequestError.Unknown when failure.InnerException is IOException => $"{cause}: if this port speaks TLS, write https://",
            _ => cause,
        };
    }

    // The errors of the registry's form, each with its detail, and the code of the first.
    private static (string Text, string? Code) Reason(string body)
    {
        try
        {
            return JsonNode.Parse(body)?["errors"] is JsonArray { Count: > 0 } errors
                ? (string.Join("; ", errors.Select(error =>
                        error?["detail"] is JsonValue detail ? detail.ToString() : error?["message"]?.ToString())),
                    errors[0]?["code"]?.ToString())
                : ("no reason given", null);
        }
        catch (JsonException)
        {
            return ("no reason given", null);
        }
    }
}

/// <summary>The server cannot be reached, or refuses; the message says so.</summary>
internal sealed class AdminServerException(string message, int exitCode = ExitCode.Failed) : Exception(message)
{
    public int ExitCode => exitCode;
}
