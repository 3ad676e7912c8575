using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using System.Numerics;
using System.Text.Json;
using Google;

namespace Mirror.Storage.Buckets.Gcs;

/// <summary>Writes objects: whole in one request, or through a session that takes the bytes in their order.</summary>
internal sealed class GcsWriter(GcsOptions options, GcsCalls calls)
{
    private const string OnlyIfAbsent = "&ifGenerationMatch=0";

    /// <inheritdoc cref="IBucket.PutAsync"/>
    public async ValueTask<bool> PutAsync(
        string key, Func<Stream> open, long length, bool onlyIfAbsent, CancellationToken cancellationToken)
    {
        var address = Address($"uploadType=multipart{(onlyIfAbsent ? OnlyIfAbsent : "")}");
        try
        {
            await calls.InvokeAsync(BucketCalls.LimitFor(length), async stop =>
            {
                // The service refuses bytes with another sum.
                var description = Description(key, await SumAsync(open, stop));
                using var answer = await calls.SendAsync(() => new(HttpMethod.Post, address)
                {
                    Content = new MultipartContent("related")
                    {
                        new ByteArrayContent(description) { Headers = { ContentType = new("application/json") { CharSet = "UTF-8" } } },
                        Body(open()),
                    },
                }, stop);
                return Confirmed(answer, key);
            }, cancellationToken);
            return true;
        }
        catch (StoreUnavailableException failure) when (onlyIfAbsent && IsOfCondition(failure))
        {
            return false;
        }
    }

    /// <inheritdoc cref="IBucket.BeginUploadAsync"/>
    public async ValueTask<IBucketUpload> BeginUploadAsync(string key, CancellationToken cancellationToken)
    {
        // The condition belongs to the session, and holds at its end.
        try
        {
            return await BeginAsync(onlyIfAbsent: true);
        }
        catch (StoreUnavailableException failure) when (IsOfCondition(failure))
        {
            return await BeginAsync(onlyIfAbsent: false);
        }

        async ValueTask<IBucketUpload> BeginAsync(bool onlyIfAbsent) =>
            new GcsUpload(this, calls, key, await BeginSessionAsync(key, onlyIfAbsent, cancellationToken), onlyIfAbsent);
    }

    /// <summary>Begins a session.</summary>
    /// <returns>Its address, which is a secret: it takes bytes from each client that knows it.</returns>
    public async ValueTask<Uri> BeginSessionAsync(string key, bool onlyIfAbsent, CancellationToken cancellationToken)
    {
        var address = Address($"uploadType=resumable&name={Uri.EscapeDataString(key)}{(onlyIfAbsent ? OnlyIfAbsent : "")}");
        return await calls.InvokeAsync(calls.SmallLimit, async stop =>
        {
            using var answer = await calls.SendAsync(() =>
            {
                var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = new ByteArrayContent([]) };
                request.Headers.Add("X-Upload-Content-Type", MediaTypes.OctetStream);
                return request;
            }, stop);
            // Our token goes there with each part.
            return answer.Headers.Location is { } session && session.Scheme == address.Scheme && session.Authority == address.Authority
                ? session
                : throw new IOException("the address of an upload that the store gave is not the store's own");
        }, cancellationToken);
    }

    /// <summary>True, if the answer to a write is Google's: a description of the object, in JSON.</summary>
    /// <exception cref="StoreUnavailableException">It is another one, such as that of something in front of the store.</exception>
    public bool Confirmed(HttpResponseMessage answer, string key) =>
        answer.Content.Headers.ContentType?.MediaType is "application/json" ? true : throw calls.NotConfirmed(key);

    /// <summary>Whether the store refused a write because of its condition.</summary>
    public static bool IsOfCondition(StoreUnavailableException failure) =>
        failure.InnerException is GoogleApiException { HttpStatusCode: HttpStatusCode.PreconditionFailed };

    /// <summary>The body of a request.</summary>
    public static StreamContent Body(Stream bytes) =>
        new(bytes) { Headers = { ContentType = new MediaTypeHeaderValue(MediaTypes.OctetStream) } };

    private Uri Address(string query) =>
        new(options.ServiceUrl, $"upload/storage/v1/b/{Uri.EscapeDataString(options.Bucket)}/o?{query}");

    private static byte[] Description(string key, uint sum)
    {
        var bytes = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, sum);
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            writer.WriteString("name", key);
            writer.WriteString("contentType", MediaTypes.OctetStream);
            writer.WriteString("crc32c", Convert.ToBase64String(bytes));
            writer.WriteEndObject();
        }
        return stream.ToArray();
    }

    // CRC-32C (RFC 3720, appendix B.4).
    private static async ValueTask<uint> SumAsync(Func<Stream> open, CancellationToken cancellationToken)
    {
        await using var body = open();
        var buffer = new byte[64 * 1024];
        var sum = uint.MaxValue;
        while (await body.ReadAsync(buffer, cancellationToken) is > 0 and var read)
            sum = Sum(sum, buffer.AsSpan(0, read));
        return ~sum;
    }

    private static uint Sum(uint sum, ReadOnlySpan<byte> bytes)
    {
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..])
            sum = BitOperations.Crc32C(sum, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        foreach (var single in bytes)
            sum = BitOperations.Crc32C(sum, single);
        return sum;
    }
}
