using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using static Mirror.Tests.Peers.Gcs.GcsRequest;

namespace Mirror.Tests.Peers.Gcs;

/// <summary>The methods that make an object of others.</summary>
internal sealed class GcsCopies(GcsBuckets buckets, GcsFiles files, string root)
{
    /// <summary>How many bytes one call of <c>rewriteTo</c> copies at most.</summary>
    public long BytesPerRewrite { get; set; } = long.MaxValue;

    public async Task ComposeAsync(HttpContext context, string bucket, string name)
    {
        var said = await JsonAsync(context.Request);
        var sources = said["sourceObjects"]?.AsArray().Select(source => (
            Name: (string)source!["name"]!,
            Conditions: GcsConditions.None with
            {
                Wanted = Long(source["generation"]),
                Match = Long(source["objectPreconditions"]?["ifGenerationMatch"]),
            })).ToList() ?? [];
        if (sources.Count is 0 or > 32)
            throw GcsError.Invalid("The number of source components provided must be between 1 and 32.");
        var components = 0;
        var bytes = await files.WriteAsync(async (file, cancel) =>
        {
            foreach (var source in sources)
            {
                var (found, part) = files.Open(bucket, source.Name, source.Conditions);
                await using var _ = part;
                await part.CopyToAsync(file, cancel);
                components += found.Components ?? 1;
            }
        }, context.RequestAborted);
        var item = New(bucket, name, said["destination"] as JsonObject ?? [], null) with { Bytes = bytes, Components = components };
        await AnswerAsync(context, buckets.Put(item, Conditions(context.Request.Query)).ToJson(root));
    }

    public async Task CopyAsync(HttpContext context, (string Bucket, string Name) from, (string Bucket, string Name) to, bool isRewrite)
    {
        var query = context.Request.Query;
        var said = await JsonAsync(context.Request);
        buckets.OrMissing(to.Bucket);
        var conditions = GcsConditions.None with
        {
            Wanted = Long(query["sourceGeneration"]),
            Match = Long(query["ifSourceGenerationMatch"]),
            MetaMatch = Long(query["ifSourceMetagenerationMatch"]),
        };
        var (found, file) = files.Open(from.Bucket, from.Name, conditions);
        await using var _ = file;
        var step = Math.Min(BytesPerRewrite, Long(query["maxBytesRewrittenPerCall"]) ?? long.MaxValue);
        var before = query["rewriteToken"].ToString().Split('-') is [var generation, var count]
            ? generation == found.Generation.ToString(CultureInfo.InvariantCulture)
                ? Math.Min(long.Parse(count, CultureInfo.InvariantCulture), found.Bytes.Length)
                : throw GcsError.Invalid("The rewriteToken does not belong to this request.")
            : 0;
        if (isRewrite && found.Bytes.Length - before > step)
        {
            await AnswerAsync(context, Progress(before + step));
            return;
        }
        var bytes = await files.WriteAsync(file.CopyToAsync, context.RequestAborted);
        var item = New(to.Bucket, to.Name, said, null) with { Bytes = bytes, Components = found.Components };
        if (!said.ContainsKey("contentType"))
            item = item with { ContentType = found.ContentType };
        if (said.Count == 0)
            item = item with { Fields = found.Fields.DeepClone().AsObject() };
        var stored = buckets.Put(item, Conditions(query)).ToJson(root);
        if (!isRewrite)
        {
            await AnswerAsync(context, stored);
            return;
        }
        var done = Progress(found.Bytes.Length);
        done["resource"] = stored;
        await AnswerAsync(context, done);

        JsonObject Progress(long copied)
        {
            var progress = new JsonObject
            {
                ["kind"] = "storage#rewriteResponse",
                ["totalBytesRewritten"] = copied.ToString(CultureInfo.InvariantCulture),
                ["objectSize"] = found.Bytes.Length.ToString(CultureInfo.InvariantCulture),
                ["done"] = copied == found.Bytes.Length,
            };
            if (copied < found.Bytes.Length)
                progress["rewriteToken"] = $"{found.Generation}-{copied}";
            return progress;
        }
    }
}
