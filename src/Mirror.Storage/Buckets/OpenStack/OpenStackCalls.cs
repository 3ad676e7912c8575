using System.Net;
using System.Text.Json;

namespace Mirror.Storage.Buckets.OpenStack;

/// <summary>Translates the answers of services of OpenStack.</summary>
internal sealed class OpenStackCalls(string name, Func<CancellationToken, Task> probe, TimeProvider time) : BucketCalls(name, time)
{
    protected override CallFailure KindOf(Exception failure) => failure switch
    {
        OpenStackException { Status: HttpStatusCode.NotFound } => CallFailure.Missing,
        OpenStackException { Status: HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.InsufficientStorage } => CallFailure.Full,
        OpenStackException { IsTemporary: false, Status: not HttpStatusCode.Unauthorized } => CallFailure.Refused,
        _ => CallFailure.Away,
    };

    protected override string Describe(Exception failure) => failure switch
    {
        OpenStackException { Status: HttpStatusCode.NotFound } => "does not have what was asked for",
        OpenStackException refused => $"refused: {refused.Message}",
        _ when IsOtherDocument(failure) => $"answered with a document of another form: {failure.Message}",
        _ => Unreached(failure),
    };

    // What System.Text.Json throws for other JSON than is read.
    private static bool IsOtherDocument(Exception failure) =>
        failure is JsonException or InvalidOperationException or KeyNotFoundException or FormatException or IndexOutOfRangeException;

    protected override Task ProbeAsync(CancellationToken cancellationToken) => probe(cancellationToken);
}
