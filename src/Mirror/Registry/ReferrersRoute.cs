using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>
/// <c>/v2/&lt;name&gt;/referrers/&lt;digest&gt;</c> (OCI distribution-spec 1.1.1, "Listing Referrers"). It is always an index, empty
/// where no referrer is known.
/// </summary>
public sealed class ReferrersRoute
{
    // Media types contain '+', which the default encoder escapes for pages of HTML. This is never shown in one.
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public async Task GetAsync(RegistryRequest request)
    {
        var subject = request.Digest;
        var query = request.Http.Request.Query;
        // Some clients put the media type into the query as it is, and in a query "+" means a space. No media type has a space.
        var type = Paging.Value(query, "artifactType")?.Replace(' ', '+');
        Digest? last = Paging.Value(query, "last") is not { } given ? null
            : Digest.TryParse(given, out var digest) ? digest
            : throw new RegistryException(RegistryError.DigestInvalid, "'last' is the last digest of the page before");
        var answer = await request.Repository.ListReferrersAsync(subject, type, last, request.Aborted);
        request.SetCacheStatus(answer);
        var headers = request.Http.Response.Headers;
        if (type is not null)
            headers["OCI-Filters-Applied"] = "artifactType";
        if (answer.Value.Next is { } next)
            Paging.Link(request, ("last", next), ("artifactType", type));
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
