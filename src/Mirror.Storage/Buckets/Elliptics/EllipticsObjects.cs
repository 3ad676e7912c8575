using System.Net;
using System.Runtime.CompilerServices;
using Mirror.Storage.Buckets.Split;

namespace Mirror.Storage.Buckets.Elliptics;

/// <summary>
/// The objects of Elliptics that belong to one store, by the routes of Rift from its version 2.24 on (github.com/reverbrain/rift). Each
/// has an entry in the bucket of names before it is written, and until it is deleted: no list of Elliptics is complete for certain.
/// </summary>
internal sealed class EllipticsObjects : IContentObjects
{
    private const string Entries = "mirror/elliptics";

    private readonly RiftClient _client;
    private readonly RiftCalls _calls;
    private readonly IBucket _names;

    /// <param name="names">Has an entry for each object.</param>
    /// <param name="time">The clock of time limits.</param>
    public EllipticsObjects(EllipticsOptions options, IBucket names, TimeProvider time)
    {
        _client = new(options);
        _calls = new($"Rift at {string.Join(", ", options.Endpoints)}", AskAsync, time);
        _names = names;
    }

    /// <summary>How long a small call and its repetitions may take.</summary>
    internal TimeSpan SmallLimit { set => _calls.SmallLimit = value; }

    public ValueTask CheckAsync(CancellationToken cancellationToken) => _calls.CheckAsync(cancellationToken);

    public async ValueTask<long?> SizeAsync(ContentObject content, CancellationToken cancellationToken)
    {
        // /download-info answers 503 for an object that does not exist.
        using var answer = await _calls.GetOrNullAsync(
            async stop => await _client.SendAsync(HttpMethod.Get, "get", $"{content.Id}", get => get.Headers.Range = new(0, 0), stop),
            cancellationToken);
        return answer is null ? null
            : answer.Content.Headers.ContentRange?.Length is { } length && length != StoredLength(content.Length) ? length
            : content.Length;
    }

    public async ValueTask<Stream?> OpenAsync(Guid id, long from, long until, CancellationToken cancellationToken) =>
        await _calls.GetOrNullAsync(async stop =>
        {
            var answer = await _client.SendAsync(HttpMethod.Get, "get", $"{id}", get => get.Headers.Range = new(from, until - 1), stop);
            if (from == 0 || answer.StatusCode is HttpStatusCode.PartialContent)
                return await answer.Content.ReadAsStreamAsync(stop);
            answer.Dispose();
            throw new IOException("the store ignored the requested range");
        }, cancellationToken);

    public async ValueTask<Guid> StoreAsync(string path, Func<Stream> open, long length, CancellationToken cancellationToken)
    {
        var id = Guid.NewGuid();
        await _names.PutTextAsync($"{Entries}/{id}", path, cancellationToken);
        try
        {
            await _calls.InvokeAsync(BucketCalls.LimitFor(length), async stop =>
            {
                using var answer = await _client.SendAsync(HttpMethod.Post, RiftClient.Upload, $"{id}", post =>
                {
                    // There is no empty object.
                    post.Content = length == 0 ? new ByteArrayContent([0]) : new StreamContent(open());
                    post.Content.Headers.ContentLength = StoredLength(length);
                    post.Content.Headers.ContentType = new(MediaTypes.OctetStream);
                }, stop);
                return true;
            }, cancellationToken);
            if (await SizeAsync(new(id, length), cancellationToken) is var stored && stored != length)
                throw new StoreUnavailableException($"{_calls.Name} has {stored ?? 0} of {length} bytes of {path}.");
            return id;
        }
        catch
        {
            await GiveUpAsync(id);
            throw;
        }
    }

    public async ValueTask DeleteAsync(Guid id, CancellationToken cancellationToken)
    {
        using (await _calls.GetOrNullAsync(async stop => await _client.SendAsync(
            HttpMethod.Post, "delete", $"{id}", post => post.Content = new ByteArrayContent([]), stop), cancellationToken))
            await _names.DeleteAsync($"{Entries}/{id}", cancellationToken);
    }

    public async IAsyncEnumerable<(Guid Id, string Path, DateTimeOffset Begun)> ListAsync(
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var (entry, written, _) in _names.ListFolderAsync(Entries, cancellationToken))
            if (Guid.TryParse(entry[(Entries.Length + 1)..], out var id)
                && await _names.ReadTextAsync(entry, cancellationToken) is { } path)
                yield return (id, path, written);
    }

    public void Dispose()
    {
        _calls.Dispose();
        _client.Dispose();
    }

    private static long StoredLength(long length) => Math.Max(length, 1);

    private async Task AskAsync(CancellationToken cancellationToken)
    {
        using var answer = await _client.SendAsync(HttpMethod.Get, "ping", null, null, cancellationToken);
    }

    private async ValueTask GiveUpAsync(Guid id)
    {
        try
        {
            await DeleteAsync(id, CancellationToken.None);
        }
        catch (StoreUnavailableException)
        {
            // A sweep deletes it a day later.
        }
    }
}
