using Mirror.Storage;

namespace Mirror.Fleet;

/// <summary>A blob's bytes on their way from another replica to a client.</summary>
/// <param name="Digest">What they are.</param>
/// <param name="Reopen">Where they can be had now: with true in this replica, whatever others do.</param>
/// <param name="Passed">Is told of bytes that were passed on.</param>
public sealed record ForwardedBody(Digest Digest, Func<bool, CancellationToken, Task<ForwardedSource>> Reopen, Action<int> Passed);

/// <summary>Where bytes can be had: at a replica, or here.</summary>
public readonly record struct ForwardedSource(Uri? Replica, Content? Content);
