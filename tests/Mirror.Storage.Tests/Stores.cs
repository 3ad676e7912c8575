using Mirror.Storage.Stores;

namespace Mirror.Storage.Tests;

/// <summary>The interfaces of one store, empty at the start of a test.</summary>
public sealed record Stores(IContentStore Content, IReferenceStore References, IReferrerStore Referrers, ISweepStore Sweepable,
    IProvenanceStore Provenance);
