using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace Mirror.Tests.Peers.Gcs;

/// <summary>The resumable uploads that are not finished, each with a file of the bytes that came so far.</summary>
internal sealed class GcsUploads(GcsBuckets buckets, string folder)
{
    // Google keeps a multiple of this while more bytes are to come.
    private const int Quantum = 256 * 1024;

    private readonly ConcurrentDictionary<string, Session> _sessions = new();

    public int Count => _sessions.Values.Count(session => session.Result is null);

    public string Begin(GcsObject item, GcsConditions conditions)
    {
        buckets.Check(item.Bucket, item.Name, conditions);
        var id = Guid.NewGuid().ToString("N");
        var path = Path.Combine(folder, id);
        File.WriteAllBytes(path, []);
        _sessions[id] = new(item, conditions, path);
        return id;
    }

    public void Cancel(string id)
    {
        if (_sessions.TryRemove(id, out var session) && session.Result is null)
            File.Delete(session.Path);
        throw new GcsError(499, "clientClosedRequest", "The upload was cancelled.");
    }

    /// <summary>Takes the bytes of a request for a session.</summary>
    /// <returns>The object if they were the last ones. Otherwise null, and how many bytes the session has.</returns>
    public async Task<(GcsObject? Result, long Kept)> ContinueAsync(string id, HttpRequest request)
    {
        var cancel = request.HttpContext.RequestAborted;
        var session = _sessions.GetValueOrDefault(id) ?? throw new GcsError(404, "notFound", "Not Found");
        await session.Turn.WaitAsync(cancel);
        try
        {
            if (session.Result is { } finished)
                return (finished, finished.Bytes.Length);
            var range = UploadRange.Of(request.Headers.ContentRange.ToString());
            await using (var file = new FileStream(session.Path, FileMode.Open, FileAccess.ReadWrite))
            {
                if (range.First is { } first)
                    await ReceiveAsync(file, first, range, request, cancel);
                var length = range.IsWhole ? file.Length : range.Total;
                if (length is not { } total || file.Length < total)
                    return (null, file.Length);
                if (file.Length > total)
                    throw GcsError.Invalid("The upload has more bytes than its Content-Range says.");
            }
            var bytes = await GcsBytes.OfAsync(session.Path, CancellationToken.None);
            return (session.Result = buckets.Put(session.Object with { Bytes = bytes }, session.Conditions), bytes.Length);
        }
        finally
        {
            session.Turn.Release();
        }
    }

    private static async Task ReceiveAsync(
        FileStream file, long first, UploadRange range, HttpRequest request, CancellationToken cancel)
    {
        if (first > file.Length)
            throw new GcsError(503, "backendError",
                $"Invalid request. According to the Content-Range header, the upload offset is {first} byte(s), "
                + $"which exceeds already uploaded size of {file.Length} byte(s).");
        var isLast = range.IsWhole || range.Last + 1 == range.Total;
        var kept = file.Length;
        var (position, isComplete) = (first, false);
        var buffer = new byte[64 * 1024];
        try
        {
            while (await request.Body.ReadAsync(buffer, cancel) is > 0 and var read)
            {
                // Bytes that an earlier request brought are not taken again.
                var known = (int)Math.Clamp(file.Length - position, 0, read);
                file.Position = file.Length;
                await file.WriteAsync(buffer.AsMemory(known, read - known), CancellationToken.None);
                position += read;
            }
            isComplete = true;
            if (range.Last is { } last && position != last + 1)
                throw GcsError.Invalid($"The request has {position - first} bytes, and its Content-Range {last + 1 - first}.");
            if (!isLast && position - first < Quantum)
                throw GcsError.Invalid("Invalid request.  The number of bytes uploaded is required to be equal or greater than 262144, "
                    + "except for the final request (it's recommended to be the exact multiple of 262144).  "
                    + $"The received request contained {position - first} bytes, which does not meet this requirement.");
        }
        catch (GcsError)
        {
            file.SetLength(kept);
            throw;
        }
        finally
        {
            // A request that was cut off leaves what it brought.
            if (!isLast || !isComplete)
                file.SetLength(Math.Max(kept, file.Length / Quantum * Quantum));
        }
    }

    private sealed record Session(GcsObject Object, GcsConditions Conditions, string Path)
    {
        public SemaphoreSlim Turn { get; } = new(1);

        public GcsObject? Result { get; set; }
    }

    /// <summary>A header <c>Content-Range</c>. <c>First</c> is null if the request has no bytes.</summary>
    private sealed record UploadRange(long? First, long? Last, long? Total)
    {
        public static UploadRange Of(string header)
        {
            if (header.Length == 0)
                return new(0, null, null) { IsWhole = true };
            if (!header.StartsWith("bytes ", StringComparison.Ordinal) || header[6..].Split('/') is not [var bytes, var total])
                throw GcsError.Invalid("Failed to parse Content-Range header.");
            long? length = total == "*" ? null : Number(total);
            if (bytes == "*")
                return new(null, null, length);
            return bytes.Split('-') is [var first, var last]
                ? new(Number(first), Number(last), length)
                : throw GcsError.Invalid("Failed to parse Content-Range header.");
        }

        /// <summary>Whether the request has no such header, and so all bytes.</summary>
        public bool IsWhole { get; private init; }

        private static long Number(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw GcsError.Invalid("Failed to parse Content-Range header.");
    }
}
