using System.Net;

namespace Mirror.Storage.Buckets.Elliptics;

/// <summary>An answer of Rift that is not a success.</summary>
/// <param name="isMissing">Whether it says that the object does not exist.</param>
internal sealed class RiftException(HttpStatusCode status, bool isMissing, string message) : Exception(message)
{
    public HttpStatusCode Status => status;

    public bool IsMissing => isMissing;
}

/// <summary>Translates the answers of Rift.</summary>
internal sealed class RiftCalls(string name, Func<CancellationToken, Task> probe, TimeProvider time) : BucketCalls(name, time)
{
    protected override CallFailure KindOf(Exception failure) => failure switch
    {
        RiftException { IsMissing: true } => CallFailure.Missing,
        RiftException { Status: HttpStatusCode.InsufficientStorage } => CallFailure.Full,
        RiftException { Status: < HttpStatusCode.InternalServerError and not HttpStatusCode.Unauthorized } => CallFailure.Refused,
        _ => CallFailure.Away,
    };

    protected override string Describe(Exception failure) => failure switch
    {
        RiftException { IsMissing: true } => "does not have what was asked for",
        RiftException refused => $"refused: {refused.Message}",
        _ => Unreached(failure),
    };

    protected override Task ProbeAsync(CancellationToken cancellationToken) => probe(cancellationToken);
}
