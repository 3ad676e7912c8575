using System.Text.Json.Serialization;
using Mirror.Storage;

namespace Mirror.Telemetry;

/// <summary>
/// Whether requests should be sent here. Not while the store cannot be reached, and no longer once a signal to stop came. Upstream and Redis do not
/// count: without them what is stored is served all the same. Being alive is another question, and is answered by answering.
/// </summary>
public sealed class Readiness(IContentStore content, TimeProvider time, IHostApplicationLifetime lifetime)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    // Any name will do: what is asked is whether the store answers.
    private static readonly Digest Nothing = Digest.Of([]);

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
        try
        {
            await Task.Run(() => content.SizeAsync(Nothing, cancellationToken).AsTask(), cancellationToken).WaitAsync(Patience, time, cancellationToken);
            return null;
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            return failure.Message;
        }
    }
}

[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class ReadinessJson : JsonSerializerContext;
