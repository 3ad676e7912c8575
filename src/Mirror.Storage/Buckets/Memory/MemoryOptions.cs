namespace Mirror.Storage.Buckets.Memory;

/// <summary>Section <c>storage.inmemory</c>: content in the memory of the process, which ends with it.</summary>
public sealed class MemoryOptions : BucketOptions
{
    // Where the machine's memory is not limited, and the file says nothing, a quarter of it is still left for content.
    private const int Share = 4;

    private readonly Guid _process = Guid.NewGuid();

    public override string Location => "memory";

    /// <summary>No other process has this content.</summary>
    public override string Identity => $"memory {_process:N}";

    /// <summary>How many bytes the content may have. Default null: a quarter of the memory that the process may use.</summary>
    public long? MaxSize { get; set; }

    /// <summary>No setting: a part on its way is copied into memory, as long as it is.</summary>
    public new long ChunkSize => base.ChunkSize;

    /// <summary>No setting: memory needs no copies of it.</summary>
    public new LocalCacheOptions LocalCache => base.LocalCache;

    /// <summary><see cref="MaxSize"/> or its default.</summary>
    public long Limit => MaxSize ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / Share;
}
