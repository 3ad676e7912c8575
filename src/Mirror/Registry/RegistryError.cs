using Mirror.Access;
using Mirror.Repositories;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>
/// The errors of the protocol, in one table: code, status and message (OCI distribution-spec 1.1.1, "Error Codes"). Some are not in the
/// specification, but Docker's tools know them.
/// </summary>
public sealed record RegistryError(string Code, int Status, string Message)
{
    public static readonly RegistryError BlobUnknown = new("BLOB_UNKNOWN", 404, "blob unknown to registry");
    public static readonly RegistryError BlobUploadUnknown = new("BLOB_UPLOAD_UNKNOWN", 404, "blob upload unknown to registry");
    public static readonly RegistryError ClientTooSlow = new("UNAVAILABLE", 408, "the server disconnected a client that is too slow");
    public static readonly RegistryError Denied = new("DENIED", 403, "requested access to the resource is denied");
    public static readonly RegistryError BodyTooLarge = new("SIZE_INVALID", 413, "the request's body is too large");
    public static readonly RegistryError DigestInvalid = new("DIGEST_INVALID", 400, "provided digest did not match uploaded content");
    // RFC 5842: the server ended an operation because it found an infinite loop.
    public static readonly RegistryError LoopDetected = new("UNAVAILABLE", 508, "loop detected");
    public static readonly RegistryError ManifestBlobUnknown =
        new("MANIFEST_BLOB_UNKNOWN", 404, "manifest references a manifest or blob unknown to registry");
    public static readonly RegistryError ManifestInvalid = new("MANIFEST_INVALID", 400, "manifest invalid");
    public static readonly RegistryError ManifestTooLarge = new("SIZE_INVALID", 413, "manifest too large");
    public static readonly RegistryError ManifestUnknown = new("MANIFEST_UNKNOWN", 404, "manifest unknown");
    public static readonly RegistryError ManifestUnverified = new("MANIFEST_UNVERIFIED", 401, "manifest failed signature verification");
    public static readonly RegistryError NameInvalid = new("NAME_INVALID", 400, "invalid repository name");
    public static readonly RegistryError NameUnknown = new("NAME_UNKNOWN", 404, "repository name not known to registry");
    public static readonly RegistryError NotFound = new("UNSUPPORTED", 404, "no such route in a registry");
    public static readonly RegistryError PaginationNumberInvalid =
        new("PAGINATION_NUMBER_INVALID", 400, "invalid number of results requested");
    public static readonly RegistryError PreconditionFailed = new("UNSUPPORTED", 412, "If-Match or If-None-Match forbids it");
    public static readonly RegistryError RangeInvalid = new("RANGE_INVALID", 416, "invalid content range");
    public static readonly RegistryError RequestTimeout = new("BLOB_UPLOAD_INVALID", 408, "the request's body did not arrive in time");
    public static readonly RegistryError SizeInvalid = new("SIZE_INVALID", 400, "provided length did not match content length");
    public static readonly RegistryError StorageFull = new("UNAVAILABLE", 507, "no space left in the registry's storage");
    public static readonly RegistryError TagInvalid = new("TAG_INVALID", 400, "manifest tag did not match URI");
    public static readonly RegistryError TooManyRequests = new("TOOMANYREQUESTS", 429, "too many requests");
    public static readonly RegistryError Unauthorized = new("UNAUTHORIZED", 401, "authentication required");
    public static readonly RegistryError Unavailable = new("UNAVAILABLE", 503, "service unavailable");
    public static readonly RegistryError Unknown = new("UNKNOWN", 500, "unknown error");
    public static readonly RegistryError UnknownCoding = new("UNSUPPORTED", 501, "unknown transfer coding");
    public static readonly RegistryError Unsupported = new("UNSUPPORTED", 405, "the operation is unsupported");
    public static readonly RegistryError UploadBusy = new("BLOB_UPLOAD_INVALID", 409, "blob upload is being written to");
}

/// <summary>Ends a request with an error of the protocol.</summary>
/// <param name="details">What was wrong, or what the client can do about it; shown to the client, each as an error of its own.</param>
public sealed class RegistryException(RegistryError error, params IReadOnlyList<string?> details)
    : Exception(details is [{ } first, ..] ? first : error.Message)
{
    public RegistryError Error => error;

    public string? Detail => details is [var first, ..] ? first : null;

    public IReadOnlyList<string?> Details => details is [] ? [null] : details;

    /// <summary>What the operator can do, where the settings or the server caused it; null where the client did.</summary>
    public string? Advice { get; init; }

    /// <summary>The rights that the request needs, for the client in place of <see cref="Detail"/>. Null: the client gets the
    /// detail.</summary>
    public IReadOnlyList<ResourceAction>? Needed { get; init; }

    /// <summary>Headers to send with the error.</summary>
    public IReadOnlyList<(string Name, string Value)> Headers { get; set; } = [];

    /// <summary>For a request that the client may not make.</summary>
    public static RegistryException Of(Refusal refusal) => refusal.Challenge is not { } challenge
        ? new(RegistryError.Denied, refusal.Message) { Advice = refusal.Advice }
        : new(RegistryError.Unauthorized, refusal.Message)
        {
            Headers = [("WWW-Authenticate", challenge)],
            Needed = refusal.Resources,
        };

    /// <summary>For a push for which a quota has no room.</summary>
    public static RegistryException Of(QuotaRefusal refusal) => new(RegistryError.Denied, refusal.Message)
    {
        Advice = $"delete images that are not needed and collect garbage, or raise {refusal.Key}",
    };

    /// <summary>For a text that should be a digest and is not.</summary>
    public static RegistryException InvalidDigest() => new(RegistryError.DigestInvalid, "a digest is " + Digest.Format);

    /// <summary>For a text that should be a tag and is not.</summary>
    public static RegistryException InvalidTag() =>
        new(RegistryError.TagInvalid, "a tag is a letter, digit or '_', then up to 127 of letters, digits, '_', '.' and '-'");
}
