using Mirror.Fleet;
using Mirror.Repositories;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

/// <summary>What every fill from one upstream works with.</summary>
/// <param name="ParallelRanges">Over how many connections at once a large blob is fetched.</param>
public sealed record FillContext(
    UpstreamClient Upstream, int ParallelRanges, IContentStore Content, IReferenceStore References, CacheSize Cache, ExpectedSizes Sizes,
    FillLeases Leases, ReplicaBlobs Replicas, RegistryMetrics Metrics, TimeProvider Time, ILogger<Fill> Log);
