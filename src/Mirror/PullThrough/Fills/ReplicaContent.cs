using System.Net;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// A blob at the replica that downloads it, read in order from one offset on. That replica verifies the digest before it sends the last
/// bytes. After a broken connection, <see cref="FillTransfer"/> looks for another source.
/// </summary>
public sealed class ReplicaContent : Content
{
    private readonly ReplicaBlobs _replicas;
    private readonly Uri _replica;
    private readonly Digest _digest;
    private readonly HttpResponseMessage _response;
    private readonly Stream _body;
    private long _position;

    private ReplicaContent(ReplicaBlobs replicas, Uri replica, Digest digest, long from, HttpResponseMessage response, Stream body) =>
        (_replicas, _replica, _digest, _position, _response, _body) = (replicas, replica, digest, from, response, body);

    public override long? Length => _response.StatusCode == HttpStatusCode.PartialContent
        ? _response.Content.Headers.ContentRange?.Length
        : _response.Content.Headers.ContentLength;

    /// <summary>Asks a replica for a blob from an offset on.</summary>
    /// <param name="end">The offset after the last wanted byte; null for all.</param>
    /// <exception cref="UpstreamException">What upstream answered to that replica.</exception>
    /// <exception cref="ReplicaLostException">
    /// The replica cannot be reached, or answers as no replica does, or cannot reach upstream
    /// (<see cref="ReplicaLostException.HasFailed"/>).
    /// </exception>
    public static async Task<ReplicaContent> OpenAsync(
        ReplicaBlobs replicas, TimeProvider time, Uri replica, RepositoryName name, Digest digest, long from, long? end,
        CancellationToken cancellationToken)
    {
        var response = await replicas.GetAsync(replica, name, digest, from, end, cancellationToken);
        try
        {
            var status = $"the replica {replica.Authority} answered {(int)response.StatusCode} for {digest}";
            var start = response.StatusCode switch
            {
                HttpStatusCode.OK => 0,
                HttpStatusCode.PartialContent => response.Content.Headers.ContentRange?.From,
                HttpStatusCode.NotFound => throw new UpstreamMissingException(status),
                HttpStatusCode.Forbidden => throw new UpstreamDeniedException(status, hasAccount: true),
                HttpStatusCode.TooManyRequests => throw new UpstreamLimitedException(status, UpstreamRequest.RetryAfter(response, time)),
                HttpStatusCode.ServiceUnavailable => throw new ReplicaLostException(status) { HasFailed = true },
                _ => throw new ReplicaLostException(status),
            };
            if (start != from)
                throw new ReplicaLostException($"the replica {replica.Authority} sent {digest} from byte {start} on instead of {from}");
            var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            return new ReplicaContent(replicas, replica, digest, from, response, body);
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    /// <exception cref="ReplicaLostException">The connection broke, or the replica lost its lease: look for another source.</exception>
    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (offset != _position)
            throw new ArgumentException("A replica's response can be read in order only.", nameof(offset));
        var read = await _replicas.ReadAsync(_replica, _digest, _body, buffer, cancellationToken);
        _position += read;
        return read;
    }

    public override async ValueTask DisposeAsync()
    {
        await _body.DisposeAsync();
        _response.Dispose();
        await base.DisposeAsync();
    }
}
