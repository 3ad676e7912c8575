using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using Google.Apis.Storage.v1.Data;
using Google.Cloud.Storage.V1;

namespace Mirror.Storage.Buckets.Gcs;

/// <summary>A bucket of Google Cloud Storage, by its JSON interface.</summary>
public sealed class GcsBucket : IBucket
{
    // registry:2 keeps an upload that is not finished as an object of this type, under the name of the upload.
    private const string UploadSession = "application/x-docker-upload-session";

    private const int MaxPage = 1000;

    private readonly GcsOptions _options;
    private readonly string _bucket;
    private readonly string _root;
    private readonly GcsCalls _calls;
    private readonly GcsWriter _writer;

    /// <param name="time">The clock of time limits.</param>
    public GcsBucket(GcsOptions options, TimeProvider time)
    {
        (_options, _bucket, _root) = (options, options.Bucket, options.Root);
        _calls = new GcsCalls(options, time);
        _writer = new GcsWriter(options, _calls);
    }

    public string Name => _options.Location;

    public TimeSpan ClockAhead => _calls.Clock.Ahead;

    /// <summary>How long a small call and its repetitions may take.</summary>
    internal TimeSpan SmallLimit { init => _calls.SmallLimit = value; }

    public async ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken)
    {
        var found = await _calls.GetOrNullAsync(stop => _calls.ExecuteAsync<Google.Apis.Storage.v1.Data.Object?>(async client =>
        {
            var get = client.Service.Objects.Get(_bucket, _root + path);
            get.Fields = "size,contentType";
            // The library reads an empty answer as none.
            return await get.ExecuteAsync(stop) is { Size: not null } answer
                ? answer
                : throw new IOException($"the answer about {_root}{path} does not tell its length");
        }, stop), cancellationToken);
        return found is null or { ContentType: UploadSession } ? null : (long?)found.Size;
    }

    public async ValueTask<string?> ReadTextAsync(string path, CancellationToken cancellationToken) => await _calls.GetOrNullAsync(
        async stop =>
        {
            using var response = await GetAsync(path, range: null, stop);
            return IsSession(response) ? "" : await BucketText.ReadAsync(await response.Content.ReadAsStreamAsync(stop), stop);
        },
        cancellationToken);

    public async ValueTask<Stream?> OpenAsync(string path, long from, long until, CancellationToken cancellationToken) =>
        await _calls.GetOrNullAsync(
            async stop =>
            {
                var response = await GetAsync(path, new RangeHeaderValue(from, until - 1), stop);
                if (!IsSession(response) && (response.StatusCode is HttpStatusCode.PartialContent
                    || (from == 0 && response.IsSuccessStatusCode)))
                    return await response.Content.ReadAsStreamAsync(stop);
                response.Dispose();
                return Stream.Null;
            },
            cancellationToken);

    public ValueTask<bool> PutAsync(string path, Func<Stream> open, long length, bool onlyIfAbsent, CancellationToken cancellationToken) =>
        _writer.PutAsync(_root + path, open, length, onlyIfAbsent, cancellationToken);

    public ValueTask<IBucketUpload> BeginUploadAsync(string path, CancellationToken cancellationToken) =>
        _writer.BeginUploadAsync(_root + path, cancellationToken);

    /// <summary>None: Google ends sessions after a week, and does not list them.</summary>
    public IAsyncEnumerable<(IBucketUpload Upload, DateTimeOffset Begun)> ListUploadsAsync(
        string folder, CancellationToken cancellationToken) => AsyncEnumerable.Empty<(IBucketUpload, DateTimeOffset)>();

    public async ValueTask DeleteAsync(string path, CancellationToken cancellationToken) => await _calls.GetOrNullAsync(
        stop => _calls.ExecuteAsync(client => client.Service.Objects.Delete(_bucket, _root + path).ExecuteAsync(stop), stop),
        cancellationToken);

    public async IAsyncEnumerable<BucketObject> ListAsync(
        string prefix, int? max, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var left = max ?? long.MaxValue;
        await foreach (var page in PagesAsync(_root + prefix, delimiter: null, max, cancellationToken))
            foreach (var found in page.Items ?? [])
            {
                if (found.ContentType == UploadSession)
                    continue;
                yield return new(
                    prefix + _calls.After(_root + prefix, found.Name), found.TimeCreatedDateTimeOffset ?? default, (long)(found.Size ?? 0));
                if (--left == 0)
                    yield break;
            }
    }

    public async ValueTask<List<string>> ListFoldersAsync(string folder, string prefix, CancellationToken cancellationToken)
    {
        var below = $"{_root}{folder}/";
        List<string> names = [];
        await foreach (var page in PagesAsync(below + prefix, "/", max: null, cancellationToken))
            names.AddRange((page.Prefixes ?? []).Select(found => _calls.After(below, found).TrimEnd('/')));
        return BucketCalls.Once(names);
    }

    public async ValueTask<Uri?> LocateAsync(string path, TimeSpan validity, CancellationToken cancellationToken)
    {
        var client = await _calls.InvokeAsync(_calls.SmallLimit, stop => _calls.ClientAsync(stop).AsTask(), cancellationToken);
        // The library has only the clock of this machine for the date at which an address begins.
        if (client.Signer is not { } signer || !_calls.Clock.IsNear)
            return null;
        var template = UrlSigner.RequestTemplate.FromBucket(_bucket).WithObjectName(_root + path).WithHttpMethod(HttpMethod.Get);
        var service = _options.ServiceUrl;
        var how = UrlSigner.Options.FromExpiration(_calls.Clock.Now + validity).WithSigningVersion(SigningVersion.V4)
            .WithScheme(service.Scheme).WithHost(service.Host);
        return new Uri(await signer.SignAsync(template, service.IsDefaultPort ? how : how.WithPort(service.Port), cancellationToken));
    }

    public void Dispose() => _calls.Dispose();

    private static bool IsSession(HttpResponseMessage response) => response.Content.Headers.ContentType?.MediaType == UploadSession;

    private Task<HttpResponseMessage> GetAsync(string path, RangeHeaderValue? range, CancellationToken cancellationToken)
    {
        var address = new Uri(
            _options.ServiceUrl, $"storage/v1/b/{Uri.EscapeDataString(_bucket)}/o/{Uri.EscapeDataString(_root + path)}?alt=media");
        return _calls.SendAsync(
            () => new(HttpMethod.Get, address) { Headers = { Range = range } },
            cancellationToken,
            // A range that begins behind the end.
            status => range is not null && status is HttpStatusCode.RequestedRangeNotSatisfiable);
    }

    private async IAsyncEnumerable<Objects> PagesAsync(
        string prefix, string? delimiter, int? max, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? next = null;
        while (true)
        {
            var token = next;
            var page = await _calls.InvokeAsync(BucketCalls.PageLimit, stop => _calls.ExecuteAsync(client =>
            {
                var list = client.Service.Objects.List(_bucket);
                (list.Prefix, list.Delimiter, list.PageToken) = (prefix, delimiter, token);
                list.MaxResults = Math.Min(max ?? MaxPage, MaxPage);
                list.Fields = "kind,items(name,size,timeCreated,contentType),prefixes,nextPageToken";
                return list.ExecuteAsync(stop);
            }, stop), cancellationToken);
            // Each list says that it is one.
            if (page?.Kind is null)
                throw _calls.NoList();
            yield return page;
            if (page.NextPageToken is not { Length: > 0 } more)
                yield break;
            next = _calls.Next(next, more);
        }
    }
}
