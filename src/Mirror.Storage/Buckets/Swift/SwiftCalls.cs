using System.Net;
using System.Text.Json;

namespace Mirror.Storage.Buckets.Swift;

/// <summary>Translates the answers of Swift.</summary>
internal sealed class SwiftCalls(string name, Func<CancellationToken, Task> probe, TimeProvider time) : BucketCalls(name, time)
{
    protected override CallFailure? Explain(Exception failure) => failure switch
    {
        SwiftException { Status: HttpStatusCode.NotFound } => CallFailure.Missing,
        SwiftException { Status: HttpStatusCode.Unauthorized } => CallFailure.Away,
        SwiftException { IsTemporary: true } => CallFailure.Away,
        SwiftException => CallFailure.Refused,
        HttpRequestException or IOException => CallFailure.Away,
        _ when IsOtherDocument(failure) => CallFailure.Away,
        _ => null,
    };

    protected override string Describe(Exception failure) => failure switch
    {
        SwiftException { Status: HttpStatusCode.NotFound } => "has no such object or container",
        SwiftException refused => $"refused: {refused.Message}",
        _ when IsOtherDocument(failure) => $"answered with a document of another form: {failure.Message}",
        _ => $"cannot be reached: {failure.Message}",
    };

    // What System.Text.Json throws for other JSON than is read.
    private static bool IsOtherDocument(Exception failure) =>
        failure is JsonException or InvalidOperationException or KeyNotFoundException or FormatException or IndexOutOfRangeException;

    protected override Task ProbeAsync(CancellationToken cancellationToken) => probe(cancellationToken);
}
