using Microsoft.AspNetCore.Http;
using static Mirror.Tests.Peers.Elliptics.RiftAnswer;

namespace Mirror.Tests.Peers.Elliptics;

/// <summary>Release 0.6, whose requests name their object in the query (Rift 0.6.9: src/main.cpp and include/rift).</summary>
internal sealed class RiftByQuery(RiftObjects objects, RiftBuckets? buckets, RiftUploads uploads)
{
    private readonly RiftIndexes _indexes = new(objects);

    public Task AnswerAsync(HttpContext context, string path) => (context.Request.Method, path) switch
    {
        ("GET", "/ping") => Status(context, 200),
        ("GET", "/get") => AllowedAsync(context, path, isReading: true, key => RiftGet.ByQueryAsync(context, objects.Find(key.Id))),
        ("GET", "/download-info") => AllowedAsync(context, path, isReading: true, key => InfoAsync(context, key)),
        ("POST", "/upload") => AllowedAsync(context, path, isReading: false, key => UploadAsync(context, key)),
        ("POST", "/upload-big") => AllowedAsync(context, path, isReading: false, key => UploadBufferedAsync(context, key)),
        // Both want a name as all do, and make nothing of it nor of the bucket.
        ("POST", "/update") => AllowedAsync(context, path, isReading: false, _ => _indexes.UpdateAsync(context, null, null)),
        ("GET", "/find") => AllowedAsync(context, path, isReading: true, _ => _indexes.FindAsync(context, null)),
        _ => Status(context, 404),
    };

    private Task AllowedAsync(HttpContext context, string path, bool isReading, Func<RiftKey, Task> answer)
    {
        var query = context.Request.Query;
        var (name, id) = (query["name"].FirstOrDefault(), query["id"].FirstOrDefault());
        // An id says nothing of a bucket, so it names an object only where there are none.
        if (name is null && (id is null || buckets is not null))
            return Status(context, 400);
        RiftBucket? bucket = null;
        if (buckets is not null)
        {
            if (query["namespace"].FirstOrDefault() is not { } wanted)
                return Status(context, 400);
            bucket = buckets.Find(wanted);
            if (bucket is null)
                return Status(context, 403);
            if (!(isReading && bucket.IsReadWithoutToken)
                && RiftSignature.VerdictByQuery(context.Request, path, bucket) is var verdict and not 200)
                return Status(context, verdict);
        }
        return answer(name is not null ? new(bucket?.Name, name) : new(null, id!, id!.ToLowerInvariant().PadRight(128, '0')));
    }

    // That there is no object is a failure of the nodes like any other.
    private Task InfoAsync(HttpContext context, RiftKey key)
    {
        if (objects.Find(key.Id) is not { } found)
            return Status(context, 503);
        return JsonAsync(context, InfoOf(found).Append(("time", Seconds(DateTimeOffset.UtcNow))).ToList());
    }

    private async Task UploadAsync(HttpContext context, RiftKey key)
    {
        var query = context.Request.Query;
        if (Number(context, "offset") is not { } offset
            || Number(context, "prepare") is not { } prepared || Number(context, "commit") is not { } committed)
        {
            await Status(context, 400);
            return;
        }
        // The whole body is there before any of it is written.
        if (await uploads.ReadAsync(context) is not { } body)
        {
            await Status(context, 503);
            return;
        }
        if (query.ContainsKey("prepare") || (query.ContainsKey("plain-write") && !query.ContainsKey("commit")))
        {
            var isKept = query.ContainsKey("prepare")
                ? objects.Prepare(key.Id, offset, body, prepared)
                : objects.WritePiece(key.Id, offset, body);
            var soFar = new RiftObject(key.Id, [], body.Length, IsWhole: false, DateTimeOffset.UtcNow);
            await AnswerAsync(context, key, isKept ? soFar : null);
            return;
        }
        await AnswerAsync(context, key, query.ContainsKey("commit")
            ? objects.Commit(key.Id, offset, body, committed)
            : objects.Write(key.Id, offset, body));
    }

    private async Task UploadBufferedAsync(HttpContext context, RiftKey key)
    {
        if (Number(context, "offset") is { } offset)
            await AnswerAsync(context, key, await uploads.WriteAsync(context, key.Id, offset, isAppend: false));
        else
            await Status(context, 400);
    }

    // All keys of a bucket are in an index, and all that are in none as well: its name is then ".index".
    private Task AnswerAsync(HttpContext context, RiftKey key, RiftObject? written) =>
        written is null ? Status(context, 503)
        : objects.AddToIndex(RiftObjects.IdOf(key.Bucket, $"{key.Bucket}.index"), key.Id, RiftListEntry.Pack(key.Name))
            ? JsonAsync(context, Uploaded(written))
            : Status(context, 500);
}
