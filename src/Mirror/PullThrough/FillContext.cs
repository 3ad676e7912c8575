using Mirror.Storage;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>What every fill works with.</summary>
public sealed record FillContext(
    UpstreamClient Upstream, IContentStore Content, IReferenceStore References, RegistryMetrics Metrics, TimeProvider Time, ILogger<Fill> Log);
