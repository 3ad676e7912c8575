using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mirror.Storage.Buckets.OpenStack;
using Mirror.Storage.Buckets.Split;

namespace Mirror.Storage.Buckets.Glance;

/// <summary>
/// The images of Glance that belong to one store, by version 2 of its interface (docs.openstack.org/api-ref/image/v2). An image gets its
/// bytes once. From then on they never change.
/// </summary>
internal sealed class GlanceImages : IContentObjects
{
    /// <summary>The property that names the store to which an image belongs.</summary>
    private const string Owner = "mirror_store";

    // Images whose store is lost would be taken for those of the next one, and deleted. So each store has a name of its own.
    private const string OwnerPath = "mirror/glance";

    // Glance asks a database for each call, and is slower than other stores.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private const int PageLength = 1000;
    private const int MaxAttempts = 3;

    private readonly OpenStackClient _client;
    private readonly OpenStackCalls _calls;
    private readonly IBucket _names;
    private string? _owner;

    /// <param name="names">Has the name of the store.</param>
    /// <param name="time">The clock of time limits.</param>
    public GlanceImages(GlanceOptions options, IBucket names, TimeProvider time)
    {
        _names = names;
        OpenStackService service = new("image", "image service", options.Endpoint is { } address ? new(address) : null, Version: "v2");
        _client = new(options, service, new(time));
        _calls = new($"Glance{(options.Endpoint is { } url ? $" at {url}" : "")}", AskAsync, time) { SmallLimit = Limit };
    }

    /// <summary>How long a small call and its repetitions may take.</summary>
    internal TimeSpan SmallLimit { set => _calls.SmallLimit = value; }

    public ValueTask CheckAsync(CancellationToken cancellationToken) => _calls.CheckAsync(cancellationToken);

    public async ValueTask<long?> SizeAsync(ContentObject content, CancellationToken cancellationToken) =>
        (await _calls.GetOrNullAsync(stop => FindAsync(content.Id, stop), cancellationToken))?.Size;

    public async ValueTask<Stream?> OpenAsync(Guid id, long from, long until, CancellationToken cancellationToken) =>
        await _calls.GetOrNullAsync(async stop =>
        {
            var answer = await _client.SendAsync(
                HttpMethod.Get, $"{PathOf(id)}/file", get => get.Headers.Range = new(from, until - 1), stop);
            if (from == 0 || answer.StatusCode is HttpStatusCode.PartialContent)
                return await answer.Content.ReadAsStreamAsync(stop);
            answer.Dispose();
            throw new IOException("the store ignored the requested range; Glance gives ranges since its version 17 (Rocky)");
        }, cancellationToken);

    public async ValueTask<Guid> StoreAsync(string path, Func<Stream> open, long length, CancellationToken cancellationToken)
    {
        var owner = await OwnerAsync(cancellationToken);
        return await _calls.InvokeAsync(BucketCalls.LimitFor(length), async stop =>
        {
            for (var attempt = 1; ; attempt++)
            {
                var image = await CreateAsync(owner, path, stop);
                try
                {
                    await SendAsync(image, open, length, stop);
                    return image;
                }
                catch (Exception failure)
                {
                    // Glance takes no bytes for an image that has got some.
                    await GiveUpAsync(image);
                    if (attempt == MaxAttempts
                        || failure is not (OpenStackException { IsTemporary: true } or HttpRequestException or IOException))
                        throw;
                }
            }
        }, cancellationToken);
    }

    /// <inheritdoc/>
    /// <remarks>An image that Glance does not let go of at this moment stays for a sweep.</remarks>
    public async ValueTask DeleteAsync(Guid id, CancellationToken cancellationToken) =>
        await _calls.GetOrNullAsync(stop => RemoveAsync(id, stop), cancellationToken);

    public async IAsyncEnumerable<(Guid Id, string Path, DateTimeOffset Begun)> ListAsync(
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var owner = await OwnerAsync(cancellationToken);
        var query = $"/images?{Owner}={Uri.EscapeDataString(owner)}&limit={PageLength}&sort=created_at:asc,id:asc";
        string? last = null;
        while (true)
        {
            var (page, isLast) = await _calls.InvokeAsync(BucketCalls.PageLimit, async stop =>
            {
                using var answer = await _client.DocumentAsync(
                    HttpMethod.Get, last is null ? query : $"{query}&marker={last}", null, stop) ?? throw Other("nothing");
                return (answer.RootElement.GetProperty("images").EnumerateArray().Select(Image).ToList(),
                    !answer.RootElement.TryGetProperty("next", out _));
            }, cancellationToken);
            foreach (var image in page)
                yield return (image.Id, image.Name, image.Created);
            if (isLast || page is [])
                yield break;
            last = _calls.Next(last, $"{page[^1].Id}");
        }
    }

    public void Dispose()
    {
        _calls.Dispose();
        _client.Dispose();
    }

    private static string PathOf(Guid image) => $"/images/{image}";

    private async Task AskAsync(CancellationToken cancellationToken)
    {
        using var answer = await _client.SendAsync(HttpMethod.Get, "/images?limit=1", null, cancellationToken);
    }

    private async ValueTask<string> OwnerAsync(CancellationToken cancellationToken)
    {
        while (_owner is null)
        {
            _owner = await _names.ReadTextAsync(OwnerPath, cancellationToken);
            if (_owner is null)
                await _names.PutBytesAsync(OwnerPath, Encoding.UTF8.GetBytes($"{Guid.NewGuid()}"), onlyIfAbsent: true, cancellationToken);
        }
        return _owner;
    }

    private async Task<Guid> CreateAsync(string owner, string name, CancellationToken cancellationToken)
    {
        var image = new JsonObject
        {
            ["name"] = name,
            // What docker-registry 0.x set. Glance does not look into a container of this kind.
            ["container_format"] = "docker",
            ["disk_format"] = "raw",
            ["visibility"] = "private",
            [Owner] = owner,
        }.ToJsonString();
        using var made = await _client.DocumentAsync(
            HttpMethod.Post, "/images", post => post.Content = new StringContent(image, Encoding.UTF8, "application/json"),
            cancellationToken) ?? throw Other("nothing");
        return Image(made.RootElement).Id;
    }

    private async Task SendAsync(Guid image, Func<Stream> open, long length, CancellationToken cancellationToken)
    {
        using (await _client.SendAsync(HttpMethod.Put, $"{PathOf(image)}/file", put =>
        {
            put.Content = new StreamContent(open());
            put.Content.Headers.ContentLength = length;
            put.Content.Headers.ContentType = new(MediaTypes.OctetStream);
        }, cancellationToken, attempts: 1))
        {
            // Glance may take a body that was cut for the whole image.
            if ((await FindAsync(image, cancellationToken))?.Size is var stored && stored != length)
                throw new OpenStackException(HttpStatusCode.BadGateway, $"{stored?.ToString(CultureInfo.InvariantCulture) ?? "none"} "
                    + $"of {length} bytes were stored");
        }
    }

    private async Task<GlanceImage?> FindAsync(Guid image, CancellationToken cancellationToken)
    {
        using var found = await _client.DocumentAsync(HttpMethod.Get, PathOf(image), null, cancellationToken);
        return found is null ? null : Image(found.RootElement);
    }

    private async Task<object?> RemoveAsync(Guid image, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await _client.SendAsync(HttpMethod.Delete, PathOf(image), null, cancellationToken);
        }
        catch (OpenStackException inUse) when (inUse.Status is HttpStatusCode.Conflict)
        {
            // Another program has a use for it.
        }
        return null;
    }

    private async Task GiveUpAsync(Guid image)
    {
        using var limit = new CancellationTokenSource(_calls.SmallLimit);
        try
        {
            await RemoveAsync(image, limit.Token);
        }
        catch (Exception failure) when (failure is OpenStackException or HttpRequestException or IOException or OperationCanceledException)
        {
            // A sweep deletes it a day later.
        }
    }

    private static GlanceImage Image(JsonElement image) => new(
        Guid.TryParse(image.GetProperty("id").GetString(), out var id) ? id : throw Other("an image whose id is no UUID"),
        image.GetProperty("name").GetString() ?? "",
        DateTimeOffset.Parse(image.GetProperty("created_at").GetString()!, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal),
        image.GetProperty("status").GetString() == "active" && image.GetProperty("size").ValueKind is JsonValueKind.Number
            ? image.GetProperty("size").GetInt64()
            : null);

    private static JsonException Other(string what) => new(what);
}

/// <summary>An image of Glance.</summary>
/// <param name="Size">In bytes; null while it has not all of them.</param>
internal sealed record GlanceImage(Guid Id, string Name, DateTimeOffset Created, long? Size);
