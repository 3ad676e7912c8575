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

    public async Task PutPartAsync(int number, Func<Stream> open, long length, CancellationToken cancellationToken)
    {
        await calls.InvokeAsync(BucketCalls.LimitFor(length), async stop =>
        {
            await using var body = open();
            return await blob.StageBlockAsync(BlockName(number), body, cancellationToken: stop);
        }, cancellationToken);
        _parts.Add(number);
    }

    public async ValueTask<bool> CompleteAsync(bool onlyIfAbsent, CancellationToken cancellationToken)
    {
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
                if (await calls.GetOrNullAsync(stop => blob.GetPropertiesAsync(cancellationToken: stop), cancellationToken) is null)
                    throw;
                return false;
            }
            // registry:2 writes append blobs. Azure cannot replace one by a blob of another type in one step.
            if (code != BlobErrorCode.InvalidBlobType)
                throw;
        }
        await calls.GetOrNullAsync(
            stop => blob.DeleteAsync(DeleteSnapshotsOption.IncludeSnapshots, cancellationToken: stop), cancellationToken);
        await write(null);
        return true;
    }

    private string BlockName(int number) =>
        Convert.ToBase64String(Encoding.ASCII.GetBytes(_id + number.ToString("D6", CultureInfo.InvariantCulture)));
}
