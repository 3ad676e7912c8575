using Amazon.S3.Model;

namespace Mirror.Storage.S3;

/// <summary>
/// Content in the bucket, read in order through one connection at a time. What is read ahead waits in that connection, so a slow client slows the
/// store down and takes no memory here. A connection that breaks is followed by another one, from the byte where it broke.
/// </summary>
internal sealed class S3Content(S3Bucket bucket, string path, long length, TimeProvider time) : Content, ILocatedContent
{
    // As registry:2. Only the beginning of the download has to fall into it.
    private static readonly TimeSpan Validity = TimeSpan.FromMinutes(20);
    private static readonly TimeSpan IdleLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);

    // In a row, without a byte between them.
    private const int MostFailures = 3;

    private GetObjectResponse? _response;
    private long _position;
    private long? _prepared;

    public override long? Length => length;

    private long Until => _prepared ?? length;

    public ValueTask<Uri> LocateAsync(CancellationToken cancellationToken) => bucket.PresignAsync(path, Validity);

    public override async ValueTask PrepareAsync(long from, long until, CancellationToken cancellationToken)
    {
        _prepared = Math.Min(until, length);
        if (from < _prepared)
            await OpenAsync(from, cancellationToken);
    }

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (offset >= length || buffer.IsEmpty)
            return 0;
        if (offset >= _prepared)
            _prepared = null;
        var failures = 0;
        while (true)
        {
            try
            {
                if (_response is null || _position != offset)
                    await OpenAsync(offset, cancellationToken);
                var read = await ReadOnAsync(buffer, cancellationToken);
                if (read == 0)
                    throw new EndOfStreamException($"{bucket.Name}{path} was cut off at byte {_position} of {Until}.");
                _position += read;
                return read;
            }
            catch (IOException broken)
            {
                Close();
                if (++failures == MostFailures)
                    throw broken as StoreUnavailableException ?? new StoreUnavailableException(broken.Message, broken);
                await Task.Delay(FirstPause * (1 << failures) * (0.5 + Random.Shared.NextDouble()), time, cancellationToken);
            }
        }
    }

    public override ValueTask DisposeAsync()
    {
        Close();
        return base.DisposeAsync();
    }

    private async ValueTask OpenAsync(long from, CancellationToken cancellationToken)
    {
        Close();
        _response = await bucket.OpenAsync(path, from, Until, cancellationToken)
            ?? throw new StoreUnavailableException($"{bucket.Name}{path} went away while it was read.");
        _position = from;
    }

    private async ValueTask<int> ReadOnAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        using var idle = new CancellationTokenSource(IdleLimit, time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, idle.Token);
        try
        {
            return await _response!.ResponseStream.ReadAsync(buffer[..(int)Math.Min(buffer.Length, Until - _position)], stop.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException($"{bucket.Name}{path} sent nothing for {IdleLimit.TotalSeconds:0} s.");
        }
        catch (Exception broken) when (broken is HttpRequestException or Amazon.Runtime.AmazonClientException)
        {
            throw new IOException(broken.Message, broken);
        }
    }

    private void Close()
    {
        _response?.Dispose();
        _response = null;
    }
}
