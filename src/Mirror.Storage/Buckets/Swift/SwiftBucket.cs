using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Mirror.Storage.Buckets.OpenStack;

namespace Mirror.Storage.Buckets.Swift;

/// <summary>
/// A container of OpenStack Swift. It reads what <c>registry:2</c> wrote, and writes what <c>registry:2</c> reads and deletes: an object,
/// or segments and a dynamic large object that names them.
/// </summary>
public sealed class SwiftBucket : IBucket
{
    /// <summary>The length of a large object, noted with it: Swift itself adds up the segments that it happens to list.</summary>
    private const string LengthHeader = "X-Object-Meta-Mirror-Length";

    private const int PageLength = 1000;

    private readonly string _container;
    private readonly string _root;
    private readonly StoreClock _clock;
    private readonly SwiftClient _client;
    private readonly OpenStackCalls _calls;
    private readonly SwiftBulkDelete _bulk;
    private readonly SwiftTemporaryUrls _urls;
    private readonly SwiftListings _listings;
    private readonly SwiftContainer _opened;

    /// <param name="time">The clock of time limits.</param>
    /// <param name="makesContainer">Whether a missing container is made.</param>
    public SwiftBucket(SwiftOptions options, TimeProvider time, bool makesContainer = true)
    {
        (_container, _root, Name) = (options.Container, options.Root, options.Location);
        _clock = new(time);
        _client = new(options, _clock);
        _calls = new(Name, stop => _client.CallAsync(HttpMethod.Head, ContainerPath, null, stop), time);
        _bulk = new(_client, _calls, _container);
        _urls = new(options, _client, _calls, ContainerPath, _clock, time);
        _listings = new(time);
        _opened = new(_client, _calls, ContainerPath, makesContainer);
    }

    public string Name { get; }

    public TimeSpan ClockAhead => _clock.Ahead;

    /// <summary>How long a small call and its repetitions may take.</summary>
    internal TimeSpan SmallLimit { set => _calls.SmallLimit = value; }

    private string ContainerPath => $"/{Uri.EscapeDataString(_container)}";

    public async ValueTask<string?> FindElsewhereAsync(CancellationToken cancellationToken)
    {
        // Earlier versions ignored slashes at the end of the prefix.
        var (former, content) = ($"{_root.TrimEnd('/')}/", "files/docker/");
        return _root.EndsWith("//", StringComparison.Ordinal)
            && !await HasAsync(_root + content) && await HasAsync(former + content)
            ? $"{Name} has no content at {_root}{content}, where registry:2 has it, but it has some at {former}{content}, where earlier "
                + $"versions of this mirror stored it: to use that, set storage.swift.prefix to {former.TrimEnd('/')}"
            : null;
        ValueTask<bool> HasAsync(string prefix) => EntriesAsync(prefix, null, 1, cancellationToken).AnyAsync(cancellationToken);
    }

    public async ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken)
    {
        long? size = null;
        await _listings.UntilListedAsync(async () =>
        {
            if (await HeadersAsync(path, cancellationToken) is not { } found)
                return true;
            size = found.Length;
            return found.Manifest is null || (NotedLength(found) is { } noted ? size == noted : size > 0);
        }, cancellationToken);
        return size;
    }

    public async ValueTask<string?> ReadTextAsync(string path, CancellationToken cancellationToken)
    {
        await _opened.OpenAsync(cancellationToken);
        return await _calls.GetOrNullInBucketAsync(async stop =>
        {
            using var answer = await _client.SendAsync(HttpMethod.Get, Url(path), null, stop);
            await using var body = await answer.Content.ReadAsStreamAsync(stop);
            return await BucketText.ReadAsync(body, stop);
        }, cancellationToken);
    }

    public async ValueTask<Stream?> OpenAsync(string path, long from, long until, CancellationToken cancellationToken)
    {
        await _opened.OpenAsync(cancellationToken);
        return await _calls.GetOrNullInBucketAsync(async stop =>
        {
            var answer = await _client.SendAsync(HttpMethod.Get, Url(path), get => get.Headers.Range = new(from, until - 1), stop);
            if (from == 0 || answer.StatusCode is HttpStatusCode.PartialContent)
                return await answer.Content.ReadAsStreamAsync(stop);
            // The proxy server sees only some of the segments at this moment.
            answer.Dispose();
            throw new IOException($"{Name}{path}: the store ignored the requested range.");
        }, cancellationToken);
    }

    public async ValueTask<bool> PutAsync(
        string path, Func<Stream> open, long length, bool onlyIfAbsent, CancellationToken cancellationToken)
    {
        await _opened.OpenAsync(cancellationToken);
        if (!onlyIfAbsent)
            await DropSegmentsAsync(path, cancellationToken);
        return await WriteAsync(Url(path), open, length, headers: [], onlyIfAbsent, cancellationToken);
    }

    public async ValueTask<IBucketUpload> BeginUploadAsync(string path, CancellationToken cancellationToken)
    {
        await _opened.OpenAsync(cancellationToken);
        return new SwiftUpload(this, path, SwiftSegments.NewFolder(path));
    }

    public async IAsyncEnumerable<(IBucketUpload Upload, DateTimeOffset Begun)> ListUploadsAsync(
        string folder, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? last = null;
        await foreach (var (name, written, _) in EntriesAsync(_root + SwiftSegments.Prefix(folder), null, null, cancellationToken))
        {
            var below = _calls.After(_root + SwiftSegments.Top, name);
            var segments = below.LastIndexOf('/') is > 0 and var slash ? SwiftSegments.Top + below[..slash] : "";
            if (segments == last)
                continue;
            last = segments;
            if (segments.Length > 0 && SwiftSegments.PathOf(segments) is { } path
                && (await HeadersAsync(path, cancellationToken))?.Manifest != $"{_container}/{_root}{segments}")
                yield return (new SwiftUpload(this, path, segments), written);
        }
    }

    public async ValueTask DeleteAsync(string path, CancellationToken cancellationToken)
    {
        await _opened.OpenAsync(cancellationToken);
        var large = MayBeLarge(path) ? await HeadersAsync(path, cancellationToken) : null;
        var url = Url(path) + (large is { IsStatic: true } ? "?multipart-manifest=delete" : "");
        // The object first: without its segments it would be content that is not complete.
        await _calls.GetOrNullAsync(stop => _client.DeleteAsync(url, stop), cancellationToken);
        if (SegmentsOf(large) is { } segments)
            await DeleteSegmentsAsync(segments, cancellationToken);
    }

    public async ValueTask DeleteAsync(IReadOnlyList<string> paths, CancellationToken cancellationToken)
    {
        await _opened.OpenAsync(cancellationToken);
        await _bulk.DeleteAsync([.. paths.Where(path => !MayBeLarge(path)).Select(Key)], cancellationToken);
        foreach (var path in paths.Where(MayBeLarge))
            await DeleteAsync(path, cancellationToken);
    }

    public async IAsyncEnumerable<BucketObject> ListAsync(
        string prefix, int? max, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var start = Key(prefix);
        await foreach (var (name, written, size) in EntriesAsync(Key(prefix), null, max, cancellationToken))
        {
            var path = prefix + _calls.After(start, name);
            // Lists show the length of a dynamic large object as 0.
            yield return new(path, written, size > 0 || !MayBeLarge(path) ? size : await SizeAsync(path, cancellationToken) ?? 0);
        }
    }

    public async ValueTask<List<string>> ListFoldersAsync(string folder, string prefix, CancellationToken cancellationToken)
    {
        var below = Key($"{folder}/");
        List<string> names = [];
        await foreach (var (name, _, _) in EntriesAsync(below + prefix, "/", null, cancellationToken))
            if (name.EndsWith('/'))
                names.Add(_calls.After(below, name).TrimEnd('/'));
        return BucketCalls.Once(names);
    }

    public async ValueTask<Uri?> LocateAsync(string path, TimeSpan validity, CancellationToken cancellationToken)
    {
        await _opened.OpenAsync(cancellationToken);
        return await _urls.SignAsync(Url(path), validity, cancellationToken);
    }

    public void Dispose()
    {
        _calls.Dispose();
        _client.Dispose();
        _urls.Dispose();
        _opened.Dispose();
    }

    internal async ValueTask PutSegmentAsync(string segment, Func<Stream> open, long length, CancellationToken cancellationToken) =>
        await WriteAsync($"{ContainerPath}/{Escape(_root + segment)}", open, length, [], onlyIfAbsent: false, cancellationToken);

    internal async ValueTask<bool> PutManifestAsync(
        string path, string folder, int parts, long length, bool onlyIfAbsent, CancellationToken cancellationToken)
    {
        await _listings.UntilListedAsync(async () =>
        {
            var (count, bytes) = (0, 0L);
            await foreach (var (_, _, size) in EntriesAsync($"{_root}{folder}/", null, null, cancellationToken))
                (count, bytes) = (count + 1, bytes + size);
            return count == parts && bytes == length;
        }, cancellationToken, $"{Name} does not list the {parts} segments of {path} that it has stored.");
        if (!onlyIfAbsent)
            await DropSegmentsAsync(path, cancellationToken);
        return await WriteAsync(Url(path), () => Stream.Null, 0,
            [("X-Object-Manifest", Escape($"{_container}/{_root}{folder}")), (LengthHeader, length.ToString(CultureInfo.InvariantCulture))],
            onlyIfAbsent, cancellationToken);
    }

    /// <summary>Whether the object at a path is the large object of these segments.</summary>
    internal async ValueTask<bool> NamesAsync(string path, string folder, CancellationToken cancellationToken) =>
        SegmentsOf(await HeadersAsync(path, cancellationToken)) == folder;

    internal async ValueTask DeleteSegmentsAsync(string folder, CancellationToken cancellationToken)
    {
        List<string> names = [];
        var below = $"{_root}{folder}/";
        await foreach (var (name, _, _) in EntriesAsync(below, null, null, cancellationToken))
            // Nothing else is deleted, whatever the service lists.
            names.Add(below + _calls.After(below, name));
        await _bulk.DeleteAsync(names, cancellationToken);
    }

    // registry:2 keeps every blob and every upload in a file of this name, and all else in small files.
    private static bool MayBeLarge(string path) => path.EndsWith("/data", StringComparison.Ordinal);

    private static long? NotedLength(SwiftHeaders found) =>
        long.TryParse(found[LengthHeader], NumberStyles.None, CultureInfo.InvariantCulture, out var length) ? length : null;

    private static string Escape(string name) => string.Join('/', name.Split('/').Select(Uri.EscapeDataString));

    private string Key(string path) => $"{_root}files/{path}";
    private string Url(string path) => $"{ContainerPath}/{Escape(Key(path))}";

    // The folder of the segments that a header names; null unless it is one below our root, so that no header deletes anything else.
    private string? SegmentsOf(SwiftHeaders? found)
    {
        var ours = $"{_container}/{_root}segments/";
        return found?.Manifest is { } manifest && manifest.Length > ours.Length + 4 && manifest.StartsWith(ours, StringComparison.Ordinal)
            ? manifest[(_container.Length + 1 + _root.Length)..].TrimEnd('/')
            : null;
    }

    // Before an object is replaced: the new one does not name the old one's segments.
    private async ValueTask DropSegmentsAsync(string path, CancellationToken cancellationToken)
    {
        if (MayBeLarge(path) && await HeadersAsync(path, cancellationToken) is not null)
            await DeleteAsync(path, cancellationToken);
    }

    private async ValueTask<bool> WriteAsync(
        string url, Func<Stream> open, long length, (string Name, string Value)[] headers, bool onlyIfAbsent,
        CancellationToken cancellationToken)
    {
        try
        {
            await _calls.InvokeAsync(BucketCalls.LimitFor(length), stop => _client.PutAsync(url, put =>
            {
                put.Content = new StreamContent(open());
                put.Content.Headers.ContentLength = length;
                put.Content.Headers.ContentType = new(MediaTypes.OctetStream);
                if (onlyIfAbsent)
                    put.Headers.TryAddWithoutValidation("If-None-Match", "*");
                foreach (var (name, value) in headers)
                    put.Headers.TryAddWithoutValidation(name, value);
            }, stop), cancellationToken);
            return true;
        }
        catch (StoreUnavailableException exists) when (
            onlyIfAbsent && exists.InnerException is OpenStackException { Status: HttpStatusCode.PreconditionFailed })
        {
            return false;
        }
    }

    private async ValueTask<SwiftHeaders?> HeadersAsync(string path, CancellationToken cancellationToken)
    {
        await _opened.OpenAsync(cancellationToken);
        return await _calls.GetOrNullInBucketAsync<SwiftHeaders>(
            async stop => await _client.CallAsync(HttpMethod.Head, Url(path), null, stop), cancellationToken);
    }

    // The names, dates and lengths of objects; with a delimiter also the names of folders, which end with it.
    private async IAsyncEnumerable<(string Name, DateTimeOffset Written, long Size)> EntriesAsync(
        string prefix, string? delimiter, int? max, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await _opened.OpenAsync(cancellationToken);
        var (marker, left, length) = ("", max ?? int.MaxValue, Math.Min(max ?? PageLength, PageLength));
        while (left > 0)
        {
            var query = $"?format=json&limit={length}&prefix={Uri.EscapeDataString(prefix)}&marker={Uri.EscapeDataString(marker)}"
                + (delimiter is null ? "" : $"&delimiter={Uri.EscapeDataString(delimiter)}");
            var page = await _calls.InvokeAsync(BucketCalls.PageLimit, async stop =>
            {
                using var list = await _client.DocumentAsync(HttpMethod.Get, ContainerPath + query, null, stop);
                return list is null ? throw _calls.NoList() : list.RootElement.EnumerateArray().Select(Entry).ToList();
            }, cancellationToken);
            foreach (var entry in page)
            {
                yield return entry;
                if (--left == 0)
                    yield break;
            }
            if (page.Count < length)
                yield break;
            marker = _calls.Next(marker, page[^1].Name);
        }
    }

    private static (string Name, DateTimeOffset Written, long Size) Entry(JsonElement entry)
    {
        if (entry.TryGetProperty("subdir", out var folder))
            return (Text(folder), default, 0);
        var written = DateTimeOffset.Parse(
            Text(entry.GetProperty("last_modified")), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
        return (Text(entry.GetProperty("name")), written, entry.GetProperty("bytes").GetInt64());
    }

    private static string Text(JsonElement json) => json.GetString() ?? throw new JsonException("a text is null");
}
