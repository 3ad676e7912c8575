using System.Runtime.CompilerServices;
using Azure;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;
using Azure.Storage.Blobs.Specialized;
using Azure.Storage.Sas;

namespace Mirror.Storage.Buckets.Azure;

/// <summary>
/// A container of Azure Blob Storage. It reads what <c>registry:2</c> and <c>registry:3</c> wrote, and writes what both read.
/// </summary>
public sealed class AzureBucket : IBucket
{
    // Longer than any redirect is valid, and shorter than Azure's seven days.
    private static readonly TimeSpan DelegationValidity = TimeSpan.FromHours(48);
    private static readonly TimeSpan MinDelegationLeft = TimeSpan.FromMinutes(30);

    private readonly AzureOptions _options;
    private readonly StoreClock _clock;
    private readonly bool _makesContainer;
    private readonly BlobContainerClient _container;
    private readonly AzureCalls _calls;
    private readonly SemaphoreSlim _opening = new(1);
    private string? _root;
    private UserDelegationKey? _delegation;

    /// <param name="time">The clock of time limits.</param>
    /// <param name="makesContainer">Whether a missing container is made, where the settings are those of registry:2.</param>
    public AzureBucket(AzureOptions options, TimeProvider time, bool makesContainer = true)
    {
        (_options, _clock, _makesContainer) = (options, new(time), makesContainer);
        _container = AzureClient.Create(options, _clock);
        Name = options.Location;
        _calls = new AzureCalls(Name, _container, time);
    }

    public string Name { get; }

    public TimeSpan ClockAhead => _clock.Ahead;

    /// <summary>How long a small call and its repetitions may take.</summary>
    internal TimeSpan SmallLimit { init => _calls.SmallLimit = value; }

    public async ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken)
    {
        var blob = _container.GetBlobClient(await KeyAsync(path, cancellationToken));
        var found = await _calls.GetOrNullAsync(
            async stop => (await blob.GetPropertiesAsync(cancellationToken: stop)).Value, cancellationToken);
        // registry:2 and registry:3 give a blob its final name by a copy in the store, which may take a while and may fail.
        return found is null || IsUnfinished(found.BlobCopyStatus) ? null : found.ContentLength;
    }

    public async ValueTask<string?> ReadTextAsync(string path, CancellationToken cancellationToken)
    {
        var blob = _container.GetBlobClient(await KeyAsync(path, cancellationToken));
        var text = await _calls.GetOrNullAsync(
            async stop =>
            {
                using var body = (await blob.DownloadStreamingAsync(cancellationToken: stop)).Value;
                return await BucketText.ReadAsync(body.Content, stop);
            },
            cancellationToken);
        return text is null ? null : OnlyOnce(text);
    }

    public async ValueTask<Stream?> OpenAsync(string path, long from, long until, CancellationToken cancellationToken)
    {
        var blob = _container.GetBlobClient(await KeyAsync(path, cancellationToken));
        var range = new BlobDownloadOptions { Range = new HttpRange(from, until - from) };
        if (await _calls.GetOrNullAsync(
            async stop => (await blob.DownloadStreamingAsync(range, stop)).Value, cancellationToken) is not { } response)
            return null;
        BucketHttp.RequireStart(response, Name + path, from, response.Details.ContentRange);
        return response.Content;
    }

    public async ValueTask<bool> PutAsync(
        string path, Func<Stream> open, long length, bool onlyIfAbsent, CancellationToken cancellationToken)
    {
        var blob = _container.GetBlockBlobClient(await KeyAsync(path, cancellationToken));
        return await AzureUpload.WriteAsync(_calls, blob, onlyIfAbsent, conditions => _calls.InvokeAsync(
            BucketCalls.LimitFor(length),
            async stop =>
            {
                await using var body = open();
                var upload = new BlobUploadOptions
                {
                    Conditions = conditions,
                    HttpHeaders = new() { ContentType = MediaTypes.OctetStream },
                    // One request, however long the body is.
                    TransferOptions = new() { InitialTransferSize = length + 1 },
                };
                return await blob.UploadAsync(body, upload, stop);
            },
            cancellationToken), cancellationToken);
    }

    public async ValueTask<IBucketUpload> BeginUploadAsync(string path, CancellationToken cancellationToken) =>
        new AzureUpload(_calls, _container.GetBlockBlobClient(await KeyAsync(path, cancellationToken)));

    /// <summary>Does nothing: Azure deletes blocks a week after the last one was sent, and has no call to delete them.</summary>
    public IAsyncEnumerable<(IBucketUpload Upload, DateTimeOffset Begun)> ListUploadsAsync(
        string folder, CancellationToken cancellationToken) => AsyncEnumerable.Empty<(IBucketUpload, DateTimeOffset)>();

    public async ValueTask DeleteAsync(string path, CancellationToken cancellationToken)
    {
        var blob = _container.GetBlobClient(await KeyAsync(path, cancellationToken));
        await _calls.GetOrNullAsync(
            stop => blob.DeleteAsync(DeleteSnapshotsOption.IncludeSnapshots, cancellationToken: stop), cancellationToken);
    }

    public async IAsyncEnumerable<BucketObject> ListAsync(
        string prefix, int? max, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var root = await RootAsync(cancellationToken);
        var left = max ?? long.MaxValue;
        var options = new GetBlobsOptions { Prefix = root + prefix, Traits = BlobTraits.CopyStatus };
        await foreach (var page in PagesAsync(token => _container.GetBlobsAsync(options, token), max, cancellationToken))
            foreach (var found in page.Values)
            {
                var properties = found.Properties;
                if (IsUnfinished(properties.CopyStatus))
                    continue;
                yield return new(
                    prefix + _calls.After(root + prefix, found.Name), properties.LastModified ?? DateTimeOffset.UnixEpoch,
                    properties.ContentLength ?? 0);
                if (--left == 0)
                    yield break;
            }
    }

    public async ValueTask<List<string>> ListFoldersAsync(string folder, string prefix, CancellationToken cancellationToken)
    {
        var below = $"{await RootAsync(cancellationToken)}{folder}/";
        var options = new GetBlobsByHierarchyOptions { Prefix = below + prefix, Delimiter = "/" };
        List<string> names = [];
        await foreach (var page in PagesAsync(token => _container.GetBlobsByHierarchyAsync(options, token), null, cancellationToken))
            names.AddRange(page.Values.Where(found => found.IsPrefix).Select(found => _calls.After(below, found.Prefix).TrimEnd('/')));
        return BucketCalls.Once(names);
    }

    public async ValueTask<Uri?> LocateAsync(string path, TimeSpan validity, CancellationToken cancellationToken)
    {
        var blob = _container.GetBlobClient(await KeyAsync(path, cancellationToken));
        var now = _clock.Now;
        // Without a beginning: it is valid at once, also if the clocks differ a little.
        var signature = new BlobSasBuilder(BlobSasPermissions.Read, now + validity)
        {
            BlobContainerName = _container.Name,
            BlobName = blob.Name,
            Resource = "b",
            Protocol = blob.Uri.Scheme == Uri.UriSchemeHttps ? SasProtocol.Https : SasProtocol.HttpsAndHttp,
        };
        if (blob.CanGenerateSasUri)
            return blob.GenerateSasUri(signature);
        var key = await DelegationAsync(now, cancellationToken);
        var sas = signature.ToSasQueryParameters(key, _container.AccountName);
        return new BlobUriBuilder(blob.Uri, trimBlobNameSlashes: false) { Sas = sas }.ToUri();
    }

    public void Dispose()
    {
        _calls.Dispose();
        _opening.Dispose();
    }

    private static bool IsUnfinished(CopyStatus? copy) => copy is CopyStatus.Pending or CopyStatus.Failed or CopyStatus.Aborted;

    // A link that two writers of registry:3 appended to at the same time holds the same digest twice.
    private static string OnlyOnce(string text)
    {
        var half = text[..(text.Length / 2)];
        return text.Length % 2 == 0 && Digest.TryParse(half, out _) && text.EndsWith(half, StringComparison.Ordinal) ? half : text;
    }

    private async ValueTask<string> KeyAsync(string path, CancellationToken cancellationToken) =>
        await RootAsync(cancellationToken) + path;

    // What all names begin with. registry:2 begins them with a slash and registry:3 does not. A container that has neither is written as
    // the registry to which the settings belong would write it.
    private async ValueTask<string> RootAsync(CancellationToken cancellationToken)
    {
        if (_root is { } known)
            return known;
        await _opening.WaitAsync(cancellationToken);
        try
        {
            return _root ??= await FindRootAsync(cancellationToken);
        }
        finally
        {
            _opening.Release();
        }
    }

    private async ValueTask<string> FindRootAsync(CancellationToken cancellationToken)
    {
        var root = _options.Root;
        if (_options.IsOfRegistry2)
            await _calls.InvokeAsync(_calls.SmallLimit, async stop =>
            {
                if (_makesContainer)
                    await _container.CreateIfNotExistsAsync(PublicAccessType.None, cancellationToken: stop);
                else if (!await _container.ExistsAsync(stop))
                    throw _calls.WithoutContainer();
                return true;
            }, cancellationToken);
        foreach (var candidate in new[] { $"/{root}", root })
            if (await HasRegistryAsync(candidate, cancellationToken))
                return candidate;
        return _options.IsOfRegistry2 ? $"/{root}" : root;
    }

    private ValueTask<bool> HasRegistryAsync(string root, CancellationToken cancellationToken) =>
        _calls.InvokeAsync(BucketCalls.PageLimit, async stop =>
        {
            await foreach (var _ in _container.GetBlobsAsync(new GetBlobsOptions { Prefix = $"{root}docker/registry/v2/" }, stop))
                return true;
            return false;
        }, cancellationToken);

    private async ValueTask<UserDelegationKey> DelegationAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (_delegation is { } known && known.SignedExpiresOn - now > MinDelegationLeft)
            return known;
        var service = _container.GetParentBlobServiceClient();
        return _delegation = await _calls.InvokeAsync(
            _calls.SmallLimit,
            async stop => (await service.GetUserDelegationKeyAsync(startsOn: null, now + DelegationValidity, stop)).Value,
            cancellationToken);
    }

    private async IAsyncEnumerable<Page<T>> PagesAsync<T>(
        Func<CancellationToken, AsyncPageable<T>> list, int? max, [EnumeratorCancellation] CancellationToken cancellationToken)
        where T : notnull
    {
        string? next = null;
        while (true)
        {
            var page = await _calls.InvokeAsync(BucketCalls.PageLimit, async stop =>
            {
                await foreach (var first in list(stop).AsPages(next, max))
                    return first;
                return null;
            }, cancellationToken);
            if (page is null)
                yield break;
            yield return page;
            if (page.ContinuationToken is not { Length: > 0 } more)
                yield break;
            next = _calls.Next(next, more);
        }
    }
}
