using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using static Mirror.Tests.Peers.Elliptics.RiftAnswer;

namespace Mirror.Tests.Peers.Elliptics;

/// <summary>The later releases, whose requests name their object in the path (Rift 2.24 and later: src/rift_server.cpp).</summary>
internal sealed class RiftByPath(RiftObjects objects, RiftBuckets? buckets, RiftUploads uploads)
{
    private const string Json = "text/json; charset=utf-8";

    // DNET_IO_FLAGS_APPEND of Elliptics (include/elliptics/packet.h), the only one of its flags that this server heeds.
    private const long Append = 1 << 1;

    private readonly RiftIndexes _indexes = new(objects);

    public Task AnswerAsync(HttpContext context, string path)
    {
        // The parts of "/get/bucket/a/key" are "get", "bucket" and "a/key".
        var parts = path.TrimStart('/').Split('/', 3);
        return (context.Request.Method, parts) switch
        {
            ("GET", ["ping", _, ..]) => Status(context, 200),
            ("GET", ["get", _, ..]) => KeyAsync(
                context, path, RiftRights.None, key => RiftGet.ByPathAsync(context, objects.Find(key.Id))),
            ("GET", ["download-info", _, ..]) => KeyAsync(context, path, RiftRights.None, key => InfoAsync(context, key)),
            ("POST", ["upload", _, ..]) => KeyAsync(context, path, RiftRights.Write, key => UploadAsync(context, key)),
            ("POST", ["delete", _, ..]) => KeyAsync(context, path, RiftRights.Write, key => DeleteAsync(context, key)),
            ("POST", ["update", _, ..]) => KeyAsync(
                context, path, RiftRights.Write, key => _indexes.UpdateAsync(context, key.Bucket, key.Id)),
            ("POST", ["find", _, ..]) => KeyAsync(context, path, RiftRights.None, key => _indexes.FindAsync(context, key.Bucket)),
            ("GET", ["list", var bucket, ..]) => BucketAsync(
                context, path, bucket, RiftRights.None, () => ListAsync(context, bucket)),
            ("POST", ["update-bucket", var bucket, var folder]) when !folder.Contains('/') => UpdateBucketAsync(context, path, bucket),
            ("POST", ["update-bucket", _, ..]) => Status(context, 400),
            ("POST", ["delete-bucket", var bucket, ..]) => BucketAsync(
                context, path, bucket, RiftRights.Admin, () => DeleteBucketAsync(context, bucket)),
            _ => Status(context, 404),
        };
    }

    private Task KeyAsync(HttpContext context, string path, RiftRights needed, Func<RiftKey, Task> answer)
    {
        var parts = path.TrimStart('/').Split('/', 3);
        if (buckets is null)
            return answer(new(null, string.Join('/', parts[1..])));
        return parts.Length < 3
            ? Status(context, 400)
            : BucketAsync(context, path, parts[1], needed, () => answer(new(parts[1], parts[2])));
    }

    private Task BucketAsync(HttpContext context, string path, string name, RiftRights needed, Func<Task> answer)
    {
        if (buckets is null)
            return answer();
        var scheme = context.Request.Headers.Authorization.ToString().Split(' ')[0];
        return scheme is not ("" or "riftv1") ? Status(context, 403)
            : buckets.Find(name) is not { } bucket ? Status(context, 404)
            : RiftSignature.VerdictByPath(context.Request, path, bucket, needed) is var verdict and not 200 ? Status(context, verdict)
            : answer();
    }

    // That there is no object is a failure of the nodes like any other.
    private Task InfoAsync(HttpContext context, RiftKey key)
    {
        if (objects.Find(key.Id) is not { } found)
            return Status(context, 503);
        return JsonAsync(context, InfoOf(found).Append(("time", Seconds(DateTimeOffset.UtcNow))).ToList(), Json);
    }

    private async Task UploadAsync(HttpContext context, RiftKey key)
    {
        if (context.Request.ContentLength == 0 || Number(context, "offset") is not { } offset)
        {
            await Status(context, 400);
            return;
        }
        // Flags that are not understood are none.
        var isAppend = ((Number(context, "ioflags") ?? 0) & Append) != 0;
        if (await uploads.WriteAsync(context, key.Id, offset, isAppend) is not { } written)
            await Status(context, 503);
        else if (key.Bucket is not null
            && !objects.AddToIndex(IndexOf(key.Bucket), key.Id, RiftListEntry.Pack(key.Name, DateTimeOffset.UtcNow)))
            await Status(context, 500);
        else
            await JsonAsync(context, Uploaded(written), Json);
    }

    // It stays in the indexes that it was put into.
    private Task DeleteAsync(HttpContext context, RiftKey key)
    {
        if (key.Bucket is not null)
            objects.RemoveFromIndex(IndexOf(key.Bucket), key.Id);
        return Status(context, objects.Remove(key.Id) ? 200 : 404);
    }

    private Task ListAsync(HttpContext context, string bucket)
    {
        var listed = objects.FindByIndexes([IndexOf(bucket)], inAll: true).Select(one =>
        {
            var (key, time) = RiftListEntry.Unpack(one.In[0].Data) ?? ("std::bad_cast", DateTimeOffset.UnixEpoch);
            return (object)new List<(string, object)>
            {
                ("id", one.Id),
                ("key", key),
                ("timestamp", time.ToString("yyyy-MM-dd HH:mm:ss.ffffff", CultureInfo.InvariantCulture)),
                ("time_seconds", Seconds(time)),
            };
        });
        return JsonAsync(context, new List<(string, object)> { ("indexes", listed.ToArray()) }, Json);
    }

    private async Task UpdateBucketAsync(HttpContext context, string path, string name)
    {
        // A bucket that is not there yet is for all to make.
        if (buckets?.Find(name) is { } old
            && RiftSignature.VerdictByPath(context.Request, path, old, RiftRights.Admin) is var verdict and not 200)
        {
            await Status(context, verdict);
            return;
        }
        var body = await RiftUploads.ReadJsonAsync(context);
        if (body is null || BucketIn(name, body) is not { } bucket)
            await Status(context, 400);
        else if (buckets?.Set(bucket) is not true || objects.Write(RiftObjects.IdOf("bucket", name), 0, body) is not { } written)
            await Status(context, 503);
        else
            await JsonAsync(context, Uploaded(written), Json);
    }

    private Task DeleteBucketAsync(HttpContext context, string bucket)
    {
        foreach (var (id, _) in objects.FindByIndexes([IndexOf(bucket)], inAll: true))
        {
            objects.Remove(id);
            objects.RemoveFromIndex(IndexOf(bucket), id);
        }
        objects.Remove(RiftObjects.IdOf("bucket", bucket));
        buckets?.Remove(bucket);
        return Status(context, 200);
    }

    private static RiftBucket? BucketIn(string name, byte[] body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            var root = json.RootElement;
            // A bucket without groups of nodes is none.
            if (root.GetProperty("groups").GetArrayLength() == 0)
                return null;
            return new(name)
            {
                Users = root.TryGetProperty("acl", out var users)
                    ? [.. users.EnumerateArray().Select(user => new RiftUser(
                        user.GetProperty("user").GetString()!, user.GetProperty("token").GetString()!,
                        (RiftRights)user.GetProperty("flags").GetInt32()))]
                    : [],
            };
        }
        catch (Exception wrong) when (wrong is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    private static string IndexOf(string bucket) => RiftObjects.IdOf(bucket, $"{bucket}.index");
}
