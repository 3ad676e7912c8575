using Mirror.Configuration;

namespace Mirror.Health;

/// <summary>Fails while the store cannot be used: <see cref="StorageHealthOptions"/>.</summary>
internal sealed class StorageCheck(StorageOptions storage, StorageHealthOptions options, Readiness readiness)
    : HealthCheck($"storagedriver_{storage.Driver}", options)
{
    public override bool Refuses => false;

    public override Task<string?> FailureAsync(CancellationToken cancellationToken) =>
        readiness.StoreFailureAsync(cancellationToken);
}
