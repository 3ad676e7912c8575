using Mirror.Storage;

namespace Mirror.PullThrough.Fills;

/// <summary>How far a download is.</summary>
/// <param name="Names">The repositories that clients asked for the blob in: who may read none of them must not learn of it.</param>
/// <param name="Upstream">The name of the upstream that sends, as in metrics.</param>
/// <param name="Replica">The replica that the bytes come from instead; null where they come from upstream.</param>
/// <param name="ResumedFrom">How many bytes an earlier process had left.</param>
/// <param name="Bytes">How many bytes are in the spool.</param>
/// <param name="Length">How many it will have; null where upstream has not said it.</param>
/// <param name="Clients">How many clients read it or wait for it now.</param>
public sealed record RunningFill(
    Digest Digest, IReadOnlyList<RepositoryName> Names, string Upstream, Uri? Replica, DateTimeOffset Started, long ResumedFrom,
    long Bytes, long? Length, int Clients);
