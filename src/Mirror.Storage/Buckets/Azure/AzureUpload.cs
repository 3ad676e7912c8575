using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Azure;
using Azure.Storage.Blobs.Models;
using Azure.Storage.Blobs.Specialized;

namespace Mirror.Storage.Buckets.Azure;

/// <summary>An unfinished block blob: blocks that Azure keeps until the mirror commits a list of them.</summary>
internal sealed class AzureUpload(AzureCalls calls, BlockBlobClient blob) : IBucketUpload
{
    // Another process may send blocks of the same blob. All names of the blocks of a blob must be equally long.
    private readonly string _id = Guid.NewGuid().ToString("N");
    private readonly ConcurrentBag<int> _parts = [];
    // registry:2 writes append blobs, and Azure takes no block beside one. Such a blob may be intact, so it stays until the commit replaces
    // it. These parts are sent then.
    private readonly ConcurrentBag<Part> _refused = [];

    public async Task PutPartAsync(int number, Func<Stream> open, long length, CancellationToken cancellationToken)
    {
        Part part = new(number, open, length);
        if (!_refused.IsEmpty || !await TryStageAsync(part, cancellationToken))
            _refused.Add(part);
    }

    public async ValueTask<bool> CompleteAsync(bool onlyIfAbsent, CancellationToken cancellationToken)
    {
        if (!_refused.IsEmpty)
        {
            if (onlyIfAbsent && await FindAsync(calls, blob, cancellationToken) is not null)
                return false;
            await DeleteOtherTypeAsync(calls, blob, cancellationToken);
            while (_refused.TryTake(out var part))
                if (!await TryStageAsync(part, cancellationToken))
                {
                    _refused.Add(part);
                    throw new StoreUnavailableException($"{calls.Name}: another program writes {blob.Name} at the same time.");
                }
        }
        var blocks = _parts.Order().Select(BlockName).ToArray();
        return await WriteAsync(calls, blob, onlyIfAbsent, conditions => calls.InvokeAsync(
            BucketCalls.CompletionLimit,
            async stop => await blob.CommitBlockListAsync(blocks, new CommitBlockListOptions
            {
                Conditions = conditions,
                HttpHeaders = new() { ContentType = MediaTypes.OctetStream },
            }, stop),
            cancellationToken), cancellationToken);
    }

    /// <summary>Does nothing: see <see cref="AzureBucket.ListUploadsAsync"/>.</summary>
    public ValueTask AbortAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>Writes a blob: only if none exists, or also over one, whatever its type.</summary>
    /// <returns>False if a blob existed and was left as it is.</returns>
    internal static async ValueTask<bool> WriteAsync<T>(
        AzureCalls calls,
        BlockBlobClient blob,
        bool onlyIfAbsent,
        Func<BlobRequestConditions?, ValueTask<T>> write,
        CancellationToken cancellationToken)
    {
        try
        {
            await write(onlyIfAbsent ? new() { IfNoneMatch = ETag.All } : null);
            return true;
        }
        catch (StoreUnavailableException refused) when (refused.InnerException is RequestFailedException { ErrorCode: var code })
        {
            // Another process committed the same blob, so Azure dropped our blocks. That blob is complete.
            if (onlyIfAbsent && (code == BlobErrorCode.BlobAlreadyExists || code == BlobErrorCode.ConditionNotMet
                || code == BlobErrorCode.InvalidBlobType || code == BlobErrorCode.InvalidBlockList))
            {
                if (await FindAsync(calls, blob, cancellationToken) is null)
                    throw;
                return false;
            }
            // registry:2 writes append blobs. Azure cannot replace one by a blob of another type in one step.
            if (code != BlobErrorCode.InvalidBlobType)
                throw;
        }
        await DeleteOtherTypeAsync(calls, blob, cancellationToken);
        await write(null);
        return true;
    }

    private static async ValueTask<BlobProperties?> FindAsync(
        AzureCalls calls, BlockBlobClient blob, CancellationToken cancellationToken) =>
        await calls.GetOrNullAsync(
            async stop => (await blob.GetPropertiesAsync(cancellationToken: stop)).Value, cancellationToken);

    // Not a block blob: another process has just stored that.
    private static async ValueTask DeleteOtherTypeAsync(AzureCalls calls, BlockBlobClient blob, CancellationToken cancellationToken)
    {
        if (await FindAsync(calls, blob, cancellationToken) is { BlobType: not BlobType.Block } other)
            await calls.GetOrNullAsync(
                stop => blob.DeleteAsync(DeleteSnapshotsOption.IncludeSnapshots, new() { IfMatch = other.ETag }, stop), cancellationToken);
    }

    // False where a blob of another type has the name.
    private async Task<bool> TryStageAsync(Part part, CancellationToken cancellationToken)
    {
        try
        {
            await calls.InvokeAsync(BucketCalls.LimitFor(part.Length), async stop =>
            {
                await using var body = part.Open();
                return await blob.StageBlockAsync(BlockName(part.Number), body, cancellationToken: stop);
            }, cancellationToken);
        }
        catch (StoreUnavailableException refused) when (
            refused.InnerException is RequestFailedException { ErrorCode: var code } && code == BlobErrorCode.InvalidBlobType)
        {
            return false;
        }
        _parts.Add(part.Number);
        return true;
    }

    private string BlockName(int number) =>
        Convert.ToBase64String(Encoding.ASCII.GetBytes(_id + number.ToString("D6", CultureInfo.InvariantCulture)));

    private sealed record Part(int Number, Func<Stream> Open, long Length);
}
