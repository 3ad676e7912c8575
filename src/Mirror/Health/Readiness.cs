using System.Text.Json.Serialization;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Health;

/// <summary>
/// Whether requests should be sent here. Not while the store cannot be reached, and no longer once a signal to stop came. Upstream and Redis do not
/// count: without them what is stored is served all the same. Being alive is another question, and is answered by answering.
/// </summary>
public sealed class Readiness(StorageOptions storage, IContentStore content, TimeProvider time, IHostApplicationLifetime lifetime)
{
    private static readonly TimeSpan UpstreamDeadlines = TimeSpan.FromSeconds(2);
    // Any name will do: what is asked is whether the store answers.
    private static readonly Digest Nothing = Digest.Of([]);

    private readonly Lock _gate = new();
    private Task? _asking;

    /// <summary>What is in the way, by name; null where nothing is.</summary>
    public async Task<Dictionary<string, string>?> WhyNotAsync(CancellationToken cancellationToken)
    {
        if (lifetime.ApplicationStopping.IsCancellationRequested)
            return new() { ["stopping"] = "a signal to stop was received" };
        return await StoreFailureAsync(cancellationToken) is { } failure ? new() { ["storage"] = failure } : null;
    }

    /// <summary>Why the store cannot be used; null where it can.</summary>
    public async Task<string?> StoreFailureAsync(CancellationToken cancellationToken)
    {
        Task asking;
        lock (_gate)
            // A disk that hangs holds one thread, however often it is asked about.
            asking = _asking = _asking is { IsCompleted: false } unanswered ? unanswered : Task.Run(AskStoreAsync, CancellationToken.None);
        try
        {
            await asking.WaitAsync(UpstreamDeadlines, time, cancellationToken);
            return null;
        }
        catch (TimeoutException)
        {
            return $"no answer within {UpstreamDeadlines.TotalSeconds:0} s";
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            return failure.Message;
        }
    }

    private async Task AskStoreAsync()
    {
        if (storage.S3 is not null)
        {
            await content.SizeAsync(Nothing, CancellationToken.None);
            return;
        }
        try
        {
            // Whether one file is there would not tell: a disk that cannot be read says no.
            foreach (var _ in Directory.EnumerateFileSystemEntries(storage.Filesystem.RootDirectory))
                return;
        }
        catch (DirectoryNotFoundException) when (!File.Exists(storage.Filesystem.RootDirectory))
        {
            // Made when something is stored.
        }
    }
}

[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class ReadinessJson : JsonSerializerContext;
