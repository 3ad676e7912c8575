using System.Net;
using System.Net.Http.Headers;

namespace Mirror.Storage.Buckets;

/// <summary>The HTTP client below the library of a bucket's service.</summary>
internal static class BucketHttp
{
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(3);

    /// <summary>One pool of connections for the life of the process. It has no time limit: each call has its own.</summary>
    /// <param name="skipVerify">Whether to accept any certificate.</param>
    public static HttpClient Create(bool skipVerify) => new(CreateHandler(skipVerify)) { Timeout = Timeout.InfiniteTimeSpan };

    /// <summary>As <see cref="Create"/>, for the service that has the objects: see <see cref="StoreAnswers"/>.</summary>
    public static HttpClient CreateOfStore(StoreClock clock, bool skipVerify) =>
        new(new StoreAnswers(clock, CreateHandler(skipVerify))) { Timeout = Timeout.InfiniteTimeSpan };

    /// <inheritdoc cref="Create"/>
    public static ProxyLogin CreateHandler(bool skipVerify) => new ProxyLogin(new SocketsHttpHandler
    {
        ConnectTimeout = ConnectTimeout,
        ConnectCallback = ConnectAsync,
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        AllowAutoRedirect = false,
        UseCookies = false,
#pragma warning disable CA5359 // The key skipverify of the section asks for it.
        SslOptions = new() { RemoteCertificateValidationCallback = skipVerify ? static (_, _, _, _) => true : null },
#pragma warning restore CA5359
    });

    /// <summary>
    /// Checks that the body of an answer begins at an offset. A store that does not know <c>Range</c> sends the object from its first byte.
    /// </summary>
    /// <param name="answer">Is disposed if the body begins elsewhere.</param>
    /// <param name="contentRange">The header <c>Content-Range</c> of the answer, which only 206 has.</param>
    /// <exception cref="IOException">It begins elsewhere.</exception>
    public static void RequireStart(IDisposable answer, string name, long from, string? contentRange)
    {
        // Without the header the body is the whole object.
        var start = ContentRangeHeaderValue.TryParse(contentRange, out var range) ? range.From : 0;
        if (start == from)
            return;
        answer.Dispose();
        throw new IOException($"{name} was asked for its bytes from {from} on, and the store sent those from {start} on.");
    }

    private static ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var target = context.DnsEndPoint;
        // A store on this machine whose bucket is in the host name. Names below localhost are this machine (RFC 6761, section 6.3), and not
        // every resolver knows that.
        if (target.Host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase))
            target = new DnsEndPoint("localhost", target.Port);
        return HappyEyeballs.ConnectAsync(target, cancellationToken);
    }
}
