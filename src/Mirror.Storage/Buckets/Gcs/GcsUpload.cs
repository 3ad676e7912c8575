using System.Collections.Concurrent;
using System.Globalization;
using System.Net;

namespace Mirror.Storage.Buckets.Gcs;

/// <summary>An object on its way through a session of a resumable upload, which takes the bytes in their order.</summary>
/// <param name="session">The address of the session.</param>
/// <param name="isOnlyIfAbsent">Whether the session makes the object only if there is none. If not, there was one at the beginning.</param>
internal sealed class GcsUpload(GcsWriter writer, GcsCalls calls, string key, Uri session, bool isOnlyIfAbsent) : IBucketUpload
{
    // Of the parts before the last.
    private const int Unit = 256 * 1024;

    private const int MaxAttempts = 3;

    // 308 says how much the session has. 499 is the answer to the end of a session.
    private const HttpStatusCode Incomplete = (HttpStatusCode)308;
    private const HttpStatusCode Ended = (HttpStatusCode)499;

    private readonly ConcurrentDictionary<int, TaskCompletionSource> _sent = [];
    private readonly SortedDictionary<int, Part> _parts = [];
    private readonly Lock _gate = new();
    private Uri _session = session;
    private bool _isOnlyIfAbsent = isOnlyIfAbsent;
    private readonly bool _existed = !isOnlyIfAbsent;
    private long _position;

    /// <inheritdoc/>
    /// <remarks>The bytes of the last part are sent by <see cref="CompleteAsync"/>, unless they are whole units of 256 KiB.</remarks>
    public async Task PutPartAsync(int number, Func<Stream> open, long length, CancellationToken cancellationToken)
    {
        var part = new Part(open, length);
        lock (_gate)
            _parts.Add(number, part);
        var sent = Sent(number);
        try
        {
            if (number > 1)
                await Sent(number - 1).Task.WaitAsync(cancellationToken);
            if (length % Unit == 0)
                await SendAsync(part, total: null, cancellationToken);
            sent.SetResult();
        }
        catch (Exception failure)
        {
            sent.TrySetException(failure);
            // It may have no successor that looks at it.
            _ = sent.Task.Exception;
            throw;
        }
    }

    public async ValueTask<bool> CompleteAsync(bool onlyIfAbsent, CancellationToken cancellationToken)
    {
        if (onlyIfAbsent && _existed)
            return false;
        if (!onlyIfAbsent && _isOnlyIfAbsent)
            await BeginAgainAsync(cancellationToken);
        var last = _parts.Values.Last();
        var total = _parts.Values.Sum(part => part.Length);
        try
        {
            await SendAsync(_position < total ? last : new Part(() => Stream.Null, 0), total, cancellationToken);
            return true;
        }
        catch (StoreUnavailableException failure) when (onlyIfAbsent && GcsWriter.IsOfCondition(failure))
        {
            return false;
        }
    }

    public async ValueTask AbortAsync(CancellationToken cancellationToken)
    {
        var session = _session;
        using var answer = await calls.GetOrNullAsync(
            async stop => (HttpResponseMessage?)await calls.SendAsync(
                () => new(HttpMethod.Delete, session), stop, status => status is Ended or HttpStatusCode.Gone),
            cancellationToken);
    }

    // The object that exists is damaged. This session would leave it, so another one gets all bytes once more.
    private async ValueTask BeginAgainAsync(CancellationToken cancellationToken)
    {
        await AbortAsync(cancellationToken);
        _session = await writer.BeginSessionAsync(key, onlyIfAbsent: false, cancellationToken);
        (_isOnlyIfAbsent, _position) = (false, 0);
        foreach (var part in _parts.Values.Where(part => part.Length % Unit == 0))
            await SendAsync(part, total: null, cancellationToken);
    }

    // Sends a part that begins where the session is; with the total length as the last one.
    private async Task SendAsync(Part part, long? total, CancellationToken cancellationToken)
    {
        var from = _position;
        var limit = total is null ? BucketCalls.LimitFor(part.Length) : BucketCalls.LimitFor(part.Length) + BucketCalls.CompletionLimit;
        await calls.InvokeAsync(limit, async stop =>
        {
            var client = await calls.ClientAsync(stop);
            var end = from + part.Length;
            var isAsking = false;
            for (var attempt = 1; ;)
                try
                {
                    using var answer = await GcsCalls.SendOnceAsync(
                        client,
                        () => isAsking || _position == end ? Question(total) : Request(part, _position - from, end, total),
                        status => status is Incomplete,
                        stop);
                    if (answer.StatusCode is not Incomplete)
                        return writer.Confirmed(answer, key);
                    var stored = Stored(answer);
                    if (stored < from || stored > end)
                        throw new IOException($"the store has {stored} bytes of an upload, and {from} to {end} were sent");
                    var isStuck = stored == _position && !isAsking;
                    (_position, isAsking) = (stored, false);
                    if (total is null && stored == end)
                        return true;
                    if (isStuck && attempt++ == MaxAttempts)
                        throw new IOException("the store takes no more bytes of an upload");
                }
                catch (Exception failure) when (attempt < MaxAttempts && GcsCalls.IsTemporary(failure))
                {
                    await calls.PauseAsync(attempt++, stop);
                    isAsking = true;
                }
        }, cancellationToken);
    }

    private HttpRequestMessage Request(Part part, long skip, long end, long? total)
    {
        var bytes = part.Open();
        bytes.Seek(skip, SeekOrigin.Current);
        var content = GcsWriter.Body(bytes);
        content.Headers.Add("Content-Range", $"bytes {_position}-{end - 1}/{Text(total)}");
        return new(HttpMethod.Put, _session) { Content = content };
    }

    // How much the session has; with the total length also: that was all.
    private HttpRequestMessage Question(long? total)
    {
        var content = new ByteArrayContent([]);
        content.Headers.Add("Content-Range", $"bytes */{Text(total)}");
        return new(HttpMethod.Put, _session) { Content = content };
    }

    // "bytes=0-N"; without it nothing is stored.
    private static long Stored(HttpResponseMessage answer) =>
        answer.Headers.TryGetValues("Range", out var values) && values.First().Split('-') is [_, var last]
            && long.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out var end)
            ? end + 1
            : 0;

    private static string Text(long? total) => total?.ToString(CultureInfo.InvariantCulture) ?? "*";

    private TaskCompletionSource Sent(int number) =>
        _sent.GetOrAdd(number, _ => new(TaskCreationOptions.RunContinuationsAsynchronously));

    private sealed record Part(Func<Stream> Open, long Length);
}
