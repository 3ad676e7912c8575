using System.Net;
using System.Net.Http.Headers;
using System.Text;

namespace Mirror.Storage;

/// <summary>
/// Sends the login of the outgoing proxy (<c>HTTP_PROXY</c>, <c>HTTPS_PROXY</c>) with the first request, as clients in Go do. The framework
/// sends it only after a 407. Some proxies answer 403 to a request without a login. The login goes to the proxy only: in the header of a
/// request over plain HTTP, and for https in the request for a tunnel, which no registry sees. A refusal of the proxy becomes a
/// <see cref="ProxyRefusedException"/>, because it is no answer of the requested host.
/// </summary>
public sealed class ProxyLogin : DelegatingHandler
{
    private readonly SocketsHttpHandler _inner;

    /// <param name="inner">The innermost handler. With redirects of its own, only its tunnels get the login: it would send the header of a
    /// request on to any host.</param>
    public ProxyLogin(SocketsHttpHandler inner) : base(inner)
    {
        _inner = inner;
        AddToTunnels(inner);
    }

    /// <summary>For a handler that others made: sends the login with its requests for tunnels.</summary>
    public static void AddToTunnels(SocketsHttpHandler handler) => handler.PlaintextStreamFilter = static (context, _) =>
        ValueTask.FromResult(
            context.InitialRequestMessage is { RequestUri: { } proxy } request && request.Method == HttpMethod.Connect
                && Of(proxy) is { } login ? new TunnelStream(context.PlaintextStream, login) : context.PlaintextStream);

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var url = request.RequestUri!;
        var proxy = _inner.UseProxy ? HttpClient.DefaultProxy.GetProxy(url) : null;
        var isPlain = url.Scheme == Uri.UriSchemeHttp && proxy?.Scheme is "http" or "https";
        // A retry or a redirect may send the same request to a host that needs no proxy. It must not get the login.
        request.Headers.ProxyAuthorization = isPlain && proxy is not null && !_inner.AllowAutoRedirect ? Of(proxy) : null;
        try
        {
            var response = await base.SendAsync(request, cancellationToken);
            if (!isPlain || proxy is null || response.StatusCode != HttpStatusCode.ProxyAuthenticationRequired)
                return response;
            response.Dispose();
            throw new ProxyRefusedException(proxy, url, isOfLogin: true, hasLogin: Of(proxy) is not null, "407");
        }
        catch (HttpRequestException refused) when (refused is { HttpRequestError: HttpRequestError.ProxyTunnelError }
            and not ProxyRefusedException && proxy is not null)
        {
            // The framework tells the status in its message only.
            var status = refused.Message.Split('\'').LastOrDefault(part => part is [>= '1' and <= '5', _, _]) ?? "no tunnel";
            throw new ProxyRefusedException(proxy, url, status == "407", hasLogin: Of(proxy) is not null, status);
        }
    }

    private static AuthenticationHeaderValue? Of(Uri proxy) =>
        HttpClient.DefaultProxy.Credentials?.GetCredential(proxy, "Basic") is { } login
            ? BasicHeader.Of(login.UserName, login.Password)
            : null;

    /// <summary>The connection to a proxy. Adds the login to each request for a tunnel; everything else passes as it is.</summary>
    private sealed class TunnelStream(Stream inner, AuthenticationHeaderValue login) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.ReadAsync(buffer, cancellationToken);

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            inner.ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override void Write(byte[] buffer, int offset, int count) =>
            inner.Write(WithLogin(buffer.AsMemory(offset, count)).Span);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.WriteAsync(WithLogin(buffer), cancellationToken);

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override void Flush() => inner.Flush();

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override async ValueTask DisposeAsync()
        {
            await inner.DisposeAsync();
            await base.DisposeAsync();
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                inner.Dispose();
            base.Dispose(disposing);
        }

        // The framework writes such a request at once. What goes through the tunnel is TLS, which begins in another way.
        private ReadOnlyMemory<byte> WithLogin(ReadOnlyMemory<byte> sent)
        {
            var text = sent.Span;
            if (!text.StartsWith("CONNECT "u8) || text.IndexOf("\r\nProxy-Authorization:"u8) >= 0
                || text.IndexOf("\r\n"u8) is not (> 0 and var line))
                return sent;
            return (byte[])
                [.. text[..line], .. Encoding.ASCII.GetBytes($"\r\nProxy-Authorization: {login}"), .. text[line..]];
        }
    }
}

/// <summary>The outgoing proxy refused a request. The requested host has not got it.</summary>
public sealed class ProxyRefusedException(Uri proxy, Uri url, bool isOfLogin, bool hasLogin, string status) : HttpRequestException(
    HttpRequestError.ProxyTunnelError,
    $"the outgoing proxy {proxy.Authority} (the variable {VariableFor(url)}) "
        + (!isOfLogin ? $"refuses the way to this host ({status})"
            : hasLogin ? $"refuses the login of this variable ({status})"
            : $"asks for a login, and this variable has none ({status})"))
{
    /// <summary>What the operator can do.</summary>
    public string Advice { get; } = isOfLogin
        ? $"write the user and the password of the proxy into {VariableFor(url)}, as in http://user:password@{proxy.Authority}, with "
            + "special characters as %40 and the like; or add the host to NO_PROXY"
        : $"let the operators of the proxy allow this host, correct {VariableFor(url)}, or add the host to NO_PROXY";

    private static string VariableFor(Uri url) => url.Scheme == Uri.UriSchemeHttps ? "HTTPS_PROXY" : "HTTP_PROXY";
}
