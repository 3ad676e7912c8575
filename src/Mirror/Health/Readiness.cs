using System.Text.Json.Serialization;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Files;
using Mirror.Storage.Stores;

namespace Mirror.Health;

/// <summary>
/// Whether this server should get requests: not while the store cannot be used, and not after a signal to stop. Upstream and Redis do not
/// count, because stored content is served without them. Liveness needs no check: an answer proves it.
/// </summary>
/// <param name="root">The store's folder; null for a bucket.</param>
public sealed class Readiness(
    StorageOptions storage, IContentStore content, TimeProvider time, IHostApplicationLifetime lifetime, StoreRoot? root = null)
{
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(2);
    // Any digest will do: this only finds out whether the store answers.
    private static readonly Digest AnyDigest = Digest.Of([]);

    private readonly Lock _gate = new();
    private Task? _asking;

    /// <summary>The reasons why not, by name; null if the server is ready.</summary>
    public async Task<Dictionary<string, string>?> FailuresAsync(CancellationToken cancellationToken)
    {
        if (lifetime.ApplicationStopping.IsCancellationRequested)
            return new() { ["stopping"] = "a signal to stop was received" };
        return await StoreFailureAsync(cancellationToken) is { } failure ? new() { ["storage"] = failure } : null;
    }

    /// <summary>Why the store cannot be used; null if it can.</summary>
    public async Task<string?> StoreFailureAsync(CancellationToken cancellationToken)
    {
        Task asking;
        lock (_gate)
            // Callers share one look into the store: a disk that hangs blocks one thread, however often a client asks.
            asking = _asking = _asking is { IsCompleted: false } unanswered ? unanswered : Task.Run(AskStoreAsync, CancellationToken.None);
        try
        {
            await asking.WaitAsync(MaxWait, time, cancellationToken);
            return null;
        }
        catch (TimeoutException)
        {
            return $"no answer within {MaxWait.TotalSeconds:0} s";
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            return failure.Message;
        }
    }

    private async Task AskStoreAsync()
    {
        if (storage.Bucket() is not null)
        {
            await content.SizeAsync(AnyDigest, CancellationToken.None);
            return;
        }
        root?.Require();
        try
        {
            // Asking for one file would not do: File.Exists is false for a disk that cannot be read.
            foreach (var _ in Directory.EnumerateFileSystemEntries(storage.Filesystem.RootDirectory))
                return;
        }
        catch (DirectoryNotFoundException) when (!File.Exists(storage.Filesystem.RootDirectory))
        {
            // An empty store: the folder is created when something is stored.
        }
    }
}

[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class ReadinessJson : JsonSerializerContext;
