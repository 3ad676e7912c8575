using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Mirror.PullThrough;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary><c>/v2/&lt;name&gt;/referrers/&lt;digest&gt;</c> (OCI distribution-spec 1.1.1, "Listing Referrers"): always an index, empty where nothing is known.</summary>
internal static class ReferrersRoute
{
    // Never shown in a page of HTML, and '+' is in most media types.
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static async Task GetAsync(RegistryRequest request, RepositoryResolver repositories)
    {
        var subject = request.Digest;
        var query = request.Http.Request.Query;
        var type = query["artifactType"] is { Count: > 0 } asked && asked.ToString().Length > 0 ? asked.ToString() : null;
        Digest? last = query["last"] is { Count: > 0 } behind
            ? Digest.TryParse(behind, out var digest) ? digest : throw new RegistryException(RegistryError.DigestInvalid, "'last' is the digest to go on behind")
            : null;
        var answer = await repositories[request.Name].ListReferrersAsync(subject, type, last, request.Aborted);
        request.SetCacheStatus(answer);
        var headers = request.Http.Response.Headers;
        if (type is not null)
            headers["OCI-Filters-Applied"] = "artifactType";
        if (answer.Value.Next is { } next)
            headers.Link = $"<{request.Http.Request.Path.ToUriComponent()}{QueryString.Create([new("last", next.ToString()), .. type is null ? [] : new KeyValuePair<string, string?>[] { new("artifactType", type) }])}>; rel=\"next\"";
        await JsonBody.WriteAsync(request, Index(answer.Value.Descriptors), MediaTypes.OciIndex);
    }

    private static ReadOnlyMemory<byte> Index(IReadOnlyList<ReadOnlyMemory<byte>> descriptors)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Readable))
        {
            json.WriteStartObject();
            json.WriteNumber("schemaVersion", 2);
            json.WriteString("mediaType", MediaTypes.OciIndex);
            json.WriteStartArray("manifests");
            foreach (var descriptor in descriptors)
                json.WriteRawValue(descriptor.Span);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return buffer.WrittenMemory;
    }
}
