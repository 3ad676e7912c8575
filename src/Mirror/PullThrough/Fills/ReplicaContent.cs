using System.Net;
using Mirror.Fleet;
using Mirror.Storage;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>
/// A blob as the replica has it that downloads it, verified by that one before its last bytes. Read in order, from one offset on. What breaks off is not
/// resumed here: who has the bytes then is for the reader to find out.
/// </summary>
public sealed class ReplicaContent : Content
{
    private readonly FillContext _context;
    private readonly Uri _replica;
    private readonly Digest _digest;
    private readonly HttpResponseMessage _response;
    private readonly Stream _body;
    private long _position;

    private ReplicaContent(FillContext context, Uri replica, Digest digest, long from, HttpResponseMessage response, Stream body) =>
        (_context, _replica, _digest, _position, _response, _body) = (context, replica, digest, from, response, body);

    public override long? Length =>
        _response.StatusCode == HttpStatusCode.PartialContent ? _response.Content.Headers.ContentRange?.Length : _response.Content.Headers.ContentLength;

    /// <summary>Asks a replica for a blob from an offset on.</summary>
    /// <param name="end">The byte behind the last one wanted; null for all.</param>
    /// <exception cref="UpstreamException">The replica has asked upstream, and this is what it was told.</exception>
    /// <exception cref="ReplicaLostException">It cannot be reached, or answers what no replica answers.</exception>
    public static async Task<ReplicaContent> OpenAsync(
        FillContext context, Uri replica, RepositoryName name, Digest digest, long from, long? end, CancellationToken cancellationToken)
    {
        var response = await context.Replicas.GetAsync(replica, name, digest, from, end, cancellationToken);
        try
        {
            var status = (int)response.StatusCode;
            var said = $"the replica {replica.Authority} answered {status} for {digest}";
            var starts = response.StatusCode switch
            {
                HttpStatusCode.OK => 0,
                HttpStatusCode.PartialContent => response.Content.Headers.ContentRange?.From,
                HttpStatusCode.NotFound => throw new UpstreamRefusedException(said),
                HttpStatusCode.TooManyRequests => throw new UpstreamLimitedException(said, UpstreamRequest.RetryAfter(response, context.Time)),
                HttpStatusCode.ServiceUnavailable => throw new UpstreamUnavailableException(said),
                _ => throw new ReplicaLostException(said),
            };
            if (starts != from)
                throw new ReplicaLostException($"the replica {replica.Authority} sent another range of {digest} than was asked for");
            return new ReplicaContent(context, replica, digest, from, response, await response.Content.ReadAsStreamAsync(cancellationToken));
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    /// <exception cref="ReplicaLostException">The replica was lost: whoever has the bytes now, it is another one.</exception>
    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (offset != _position)
            throw new ArgumentException("What another replica sends can only be read in order.", nameof(offset));
        var read = await _context.Replicas.ReadAsync(_replica, _digest, _body, buffer, cancellationToken);
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
