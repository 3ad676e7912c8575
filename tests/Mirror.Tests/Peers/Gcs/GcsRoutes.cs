using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;
using static Mirror.Tests.Peers.Gcs.GcsRequest;

namespace Mirror.Tests.Peers.Gcs;

/// <summary>The methods of the JSON interface.</summary>
internal sealed class GcsRoutes(GcsBuckets buckets, GcsUploads uploads, GcsFiles files, GcsCopies copies, string root)
{
    /// <summary>The answer for a method and a path as it was sent; null if the interface has none.</summary>
    public RequestDelegate? Find(string method, string path)
    {
        var parts = path.Split('/')[1..].Select(Uri.UnescapeDataString).ToArray();
        return (method, parts) switch
        {
            ("GET", ["storage", "v1", "b"]) => ListBucketsAsync,
            ("POST", ["storage", "v1", "b"]) => CreateBucketAsync,
            ("GET", ["storage", "v1", "b", var b]) => context => BucketAsync(context, b),
            ("DELETE", ["storage", "v1", "b", var b]) => context => Done(context, () => buckets.Delete(b)),
            ("GET", ["storage", "v1", "b", var b, "o"]) => context => ListAsync(context, b),
            ("POST", ["upload", "storage", "v1", "b", var b, "o"]) => context => UploadAsync(context, b),
            ("PUT", ["upload", "storage", "v1", "b", _, "o"]) => ContinueAsync,
            ("DELETE", ["upload", "storage", "v1", "b", _, "o"]) => context => Done(
                context, () => uploads.Cancel(context.Request.Query["upload_id"].ToString())),
            ("GET" or "HEAD", ["storage", "v1", "b", var b, "o", var o]) => context => GetAsync(context, b, o),
            ("GET" or "HEAD", ["download", "storage", "v1", "b", var b, "o", var o]) => context => GetAsync(context, b, o),
            ("DELETE", ["storage", "v1", "b", var b, "o", var o]) => context => Done(
                context, () => buckets.Delete(b, o, Conditions(context.Request.Query))),
            ("PATCH" or "PUT", ["storage", "v1", "b", var b, "o", var o]) => context => UpdateAsync(context, b, o),
            ("POST", ["storage", "v1", "b", var b, "o", var o, "compose"]) => context => copies.ComposeAsync(context, b, o),
            ("POST", ["storage", "v1", "b", var b, "o", var o, "rewriteTo" or "copyTo", "b", var toB, "o", var toO]) =>
                context => copies.CopyAsync(context, (b, o), (toB, toO), isRewrite: parts[6] == "rewriteTo"),
            _ => null,
        };
    }

    /// <summary>Sends an object's bytes, or the range of them that the request wants.</summary>
    public async Task SendAsync(HttpContext context, string bucket, string name)
    {
        var (found, file) = files.Open(bucket, name, Conditions(context.Request.Query));
        await using var _ = file;
        var (from, until) = (0L, found.Bytes.Length);
        if (RangeHeaderValue.TryParse(context.Request.Headers.Range.ToString(), out var range) && range.Ranges.Count == 1)
        {
            var one = range.Ranges.Single();
            (from, until) = one.From is { } first
                ? (first, Math.Min(until, (one.To ?? long.MaxValue - 1) + 1))
                : (Math.Max(0, until - one.To!.Value), until);
            if (from >= until)
            {
                context.Response.Headers.ContentRange = $"bytes */{found.Bytes.Length}";
                throw new GcsError(416, "requestedRangeNotSatisfiable", "Request range not satisfiable");
            }
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = $"bytes {from}-{until - 1}/{found.Bytes.Length}";
        }
        var headers = context.Response.Headers;
        headers.ContentType = found.ContentType;
        headers.ContentLength = until - from;
        headers.ETag = $"\"{found.ETag}\"";
        headers["X-Goog-Generation"] = found.Generation.ToString(CultureInfo.InvariantCulture);
        headers["X-Goog-Metageneration"] = found.Metageneration.ToString(CultureInfo.InvariantCulture);
        // Of a part Google tells no checksums.
        if (context.Response.StatusCode != 206)
            headers["X-Goog-Hash"] = $"crc32c={found.Bytes.Crc32c}" + (found.Components is null ? $",md5={found.Bytes.Md5}" : "");
        headers["X-Goog-Stored-Content-Length"] = found.Bytes.Length.ToString(CultureInfo.InvariantCulture);
        if (HttpMethods.IsHead(context.Request.Method))
            return;
        file.Position = from;
        var buffer = new byte[64 * 1024];
        for (var left = until - from; left > 0;)
        {
            var read = await file.ReadAsync(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)), context.RequestAborted);
            await context.Response.Body.WriteAsync(buffer.AsMemory(0, read), context.RequestAborted);
            left -= read;
        }
    }

    private async Task ListBucketsAsync(HttpContext context) => await AnswerAsync(context, new JsonObject
    {
        ["kind"] = "storage#buckets",
        ["items"] = new JsonArray([.. buckets.Names().Select(Describe)]),
    });

    private async Task CreateBucketAsync(HttpContext context)
    {
        var wanted = await JsonAsync(context.Request);
        var name = (string?)wanted["name"] ?? throw new GcsError(400, "required", "Required");
        buckets.Create(name);
        await AnswerAsync(context, Describe(name));
    }

    private async Task BucketAsync(HttpContext context, string bucket)
    {
        buckets.OrMissing(bucket);
        await AnswerAsync(context, Describe(bucket));
    }

    private async Task ListAsync(HttpContext context, string bucket)
    {
        var query = context.Request.Query;
        var max = int.TryParse(query["maxResults"], CultureInfo.InvariantCulture, out var number) ? Math.Min(number, 1000) : 1000;
        var wanted = new GcsListing(
            query["prefix"].ToString(), query["delimiter"], query["startOffset"].ToString(), query["endOffset"].FirstOrDefault(), max);
        var after = System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(query["pageToken"].ToString()));
        var (items, prefixes, next) = buckets.List(bucket, wanted, after);
        var answer = new JsonObject { ["kind"] = "storage#objects" };
        if (next is not null)
            answer["nextPageToken"] = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(next));
        // Google leaves out a list that is empty.
        if (items.Count > 0)
            answer["items"] = new JsonArray([.. items.Select(item => item.ToJson(root))]);
        if (prefixes.Count > 0)
            answer["prefixes"] = new JsonArray([.. prefixes.Select(prefix => (JsonNode?)prefix)]);
        await AnswerAsync(context, answer);
    }

    private async Task GetAsync(HttpContext context, string bucket, string name)
    {
        if (context.Request.Query["alt"] == "media")
            await SendAsync(context, bucket, name);
        else
            await AnswerAsync(context, buckets.Find(bucket, name, Conditions(context.Request.Query)).ToJson(root));
    }

    private async Task UploadAsync(HttpContext context, string bucket)
    {
        var request = context.Request;
        // Google's client for Go sends the bytes of a resumable upload by POST.
        if (request.Query.ContainsKey("upload_id"))
        {
            await ContinueAsync(context);
            return;
        }
        var conditions = Conditions(request.Query);
        buckets.OrMissing(bucket);
        switch (request.Query["uploadType"].ToString())
        {
            case "resumable":
                var begun = New(bucket, request, await JsonAsync(request), request.Headers["X-Upload-Content-Type"].FirstOrDefault());
                var id = uploads.Begin(begun, conditions);
                context.Response.Headers["X-GUploader-UploadID"] = id;
                context.Response.Headers.Location = $"{root}upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={id}";
                return;
            case "multipart":
                var boundary = HeaderUtilities.RemoveQuotes(MediaTypeHeaderValue.Parse(request.ContentType).Boundary).ToString();
                var reader = new MultipartReader(boundary, request.Body);
                var first = await NextAsync();
                var said = (await JsonNode.ParseAsync(first.Body, cancellationToken: context.RequestAborted))!.AsObject();
                var second = await NextAsync();
                await StoreAsync(context, New(bucket, request, said, second.ContentType), second.Body, said, conditions);
                return;

                async Task<MultipartSection> NextAsync() =>
                    await reader.ReadNextSectionAsync(context.RequestAborted) ?? throw GcsError.Invalid("Malformed multipart body.");
            case "media":
                await StoreAsync(context, New(bucket, request, [], request.ContentType), request.Body, [], conditions);
                return;
            default:
                throw GcsError.Invalid("Invalid uploadType.");
        }
    }

    private async Task StoreAsync(HttpContext context, GcsObject item, Stream body, JsonObject said, GcsConditions conditions)
    {
        var bytes = await files.WriteAsync(body.CopyToAsync, context.RequestAborted);
        foreach (var (field, value) in new[] { ("md5Hash", bytes.Md5), ("crc32c", bytes.Crc32c) })
            if ((string?)said[field] is { } expected && expected != value)
                throw GcsError.Invalid($"Provided {field} \"{expected}\" doesn't match calculated {field} \"{value}\".");
        await AnswerAsync(context, buckets.Put(item with { Bytes = bytes }, conditions).ToJson(root));
    }

    private async Task ContinueAsync(HttpContext context)
    {
        var (result, kept) = await uploads.ContinueAsync(context.Request.Query["upload_id"].ToString(), context.Request);
        if (result is not null)
        {
            await AnswerAsync(context, result.ToJson(root));
            return;
        }
        if (context.Request.Headers["X-GUploader-No-308"] == "yes")
            context.Response.Headers["X-HTTP-Status-Code-Override"] = "308";
        else
            context.Response.StatusCode = 308;
        if (kept > 0)
            context.Response.Headers.Range = $"bytes=0-{kept - 1}";
    }

    private async Task UpdateAsync(HttpContext context, string bucket, string name)
    {
        var said = await JsonAsync(context.Request);
        var changed = buckets.Update(bucket, name, Conditions(context.Request.Query), found => found with
        {
            ContentType = (string?)said["contentType"] ?? found.ContentType,
            Fields = said["metadata"] is { } metadata ? new() { ["metadata"] = metadata.DeepClone() } : found.Fields,
        });
        await AnswerAsync(context, changed.ToJson(root));
    }

    private static JsonNode Describe(string bucket) => new JsonObject
    {
        ["kind"] = "storage#bucket",
        ["id"] = bucket,
        ["name"] = bucket,
        ["location"] = "EU",
        ["storageClass"] = "STANDARD",
        ["projectNumber"] = "1",
        ["metageneration"] = "1",
        ["etag"] = "CAE=",
        ["timeCreated"] = GcsTime.Of(DateTimeOffset.UnixEpoch),
    };
}
