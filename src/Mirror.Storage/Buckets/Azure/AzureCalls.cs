using System.Xml;
using Azure;
using Azure.Identity;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;

namespace Mirror.Storage.Buckets.Azure;

/// <summary>Translates the exceptions of Azure's library.</summary>
internal sealed class AzureCalls(string name, BlobContainerClient container, TimeProvider time) : BucketCalls(name, time)
{
    // A 404 of these kinds is about the account or the container, not about a blob.
    private static readonly string[] NoContainer = ["ContainerNotFound", "ContainerBeingDeleted", "AccountIsDisabled"];

    // A 4xx of these kinds is temporary.
    private static readonly string[] Temporary = ["ContainerBeingDeleted", "ServerBusy"];

    // Azure refuses requests that are 15 minutes old.
    private static readonly TimeSpan MaxDifference = TimeSpan.FromMinutes(10);

    private readonly TimeProvider _time = time;

    protected override CallFailure KindOf(Exception failure) => failure switch
    {
        // Without a code a 404 comes from something in front of the store.
        RequestFailedException { Status: 404, ErrorCode: { Length: > 0 } code } when !NoContainer.Contains(code) => CallFailure.Missing,
        RequestFailedException { Status: 507 } => CallFailure.Full,
        RequestFailedException { Status: 401 or 408 or 429 } => CallFailure.Away,
        RequestFailedException refused when IsUnauthenticated(refused) => CallFailure.Away,
        RequestFailedException { Status: >= 400 and < 500, ErrorCode: var code } when !Temporary.Contains(code) => CallFailure.Refused,
        _ => CallFailure.Away,
    };

    protected override string Describe(Exception failure) => failure switch
    {
        RequestFailedException { ErrorCode: { Length: > 0 } code } refused =>
            $"refused: {code}: {FirstLine(refused)}{Advice(code, refused)}",
        RequestFailedException { Status: > 0 and var status } refused => $"refused: {status}: {FirstLine(refused)}",
        AuthenticationFailedException login => $"cannot be logged in to: {FirstLine(login)}",
        // The library collects the failures of its attempts in it.
        AggregateException { InnerException: { } first } => Unreached(first),
        _ when IsUnreadable(failure) => $"sent an answer that cannot be read: {FirstLine(failure)}",
        RequestFailedException { InnerException: { } cause } => Unreached(cause),
        _ => $"cannot be reached: {FirstLine(failure)}",
    };

    // The library does not explain an answer that is no XML, has no list, or has a length that is no number.
    private static bool IsUnreadable(Exception failure) =>
        failure is XmlException or FormatException or ArgumentException or NullReferenceException { Source: "Azure.Storage.Blobs" };

    // Azurite has another code for it.
    private static bool IsUnauthenticated(RequestFailedException refused) => refused.Status == 403
        && (refused.ErrorCode == "AuthenticationFailed" || refused.Message.Contains("failed to authenticate", StringComparison.Ordinal));

    private string Advice(string code, RequestFailedException refused) => code switch
    {
        "ContainerNotFound" => "; there is no such container: create it, or set the key 'container' to another one",
        "KeyBasedAuthenticationNotPermitted" =>
            "; the account takes no keys: set credentials.type to client_secret or default_credentials",
        _ when IsUnauthenticated(refused) && refused.GetRawResponse()?.Headers.Date is { } date
            && (date - _time.GetUtcNow()).Duration() > MaxDifference =>
            $"; the clock of the store says {date:u}, and the clock of this machine {_time.GetUtcNow():u}: set the clock",
        _ when IsUnauthenticated(refused) => "; the key is not that of the account",
        "AuthorizationFailure" or "AuthorizationPermissionMismatch" => "; the account may not do this: give it the right",
        _ => "",
    };

    protected override async Task ProbeAsync(CancellationToken cancellationToken)
    {
        await foreach (var _ in container.GetBlobsAsync(new GetBlobsOptions { Prefix = "docker/" }, cancellationToken))
            return;
    }

    // The library's messages end with all headers of the answer.
    private static string FirstLine(Exception failure) => failure.Message.Split('\n')[0].TrimEnd();
}
