using Mirror.Repositories;
using Mirror.Storage.Stores;

namespace Mirror.Copying;

/// <summary>One of the two stores of a copy.</summary>
/// <param name="Content">Without the checks that hide damaged content: a copy hashes every byte, and names what is damaged.</param>
internal sealed record CopyStore(
    [FromKeyedServices(CheckedContentStore.Unchecked)] IContentStore Content, IReferenceStore References, IReferrerStore Referrers,
    IProvenanceStore Provenance, IPinStore Pins, IDateStore Dates, ISweepStore Lists)
{
    /// <summary>The store that a configuration chose.</summary>
    public static CopyStore Of(IServiceProvider stores) => ActivatorUtilities.CreateInstance<CopyStore>(stores);
}
