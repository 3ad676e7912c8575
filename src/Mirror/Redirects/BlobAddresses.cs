using System.Net;
using Mirror.Configuration;
using Mirror.Storage;

namespace Mirror.Redirects;

/// <summary>
/// Where clients are sent for stored blobs: the store's own addresses, as section <c>middleware.storage</c> changes them.
/// </summary>
public sealed class BlobAddresses
{
    private readonly IAddressStep[] _steps;

    /// <exception cref="System.Security.Cryptography.CryptographicException">A key of <c>cloudfront</c> is none.</exception>
    public BlobAddresses(StorageOptions storage, MiddlewareOptions middleware, AwsAddresses aws, TimeProvider time)
    {
        _steps =
        [
            .. middleware.Storage.Where(entry => !entry.Disabled).Select<StorageMiddlewareOptions, IAddressStep?>(entry => entry.Name switch
            {
                // Only a bucket of S3 can be the origin of a distribution.
                "cloudfront" => storage.S3 is { } s3 ? new CloudFrontStep(entry.Options, s3.Root, aws, time) : null,
                "redirect" => new RedirectStep(entry.Options),
                _ => new RewriteStep(entry.Options),
            }).OfType<IAddressStep>(),
        ];
        AreConfigured = !storage.Redirect.Disable && (storage.Bucket() is not null || _steps.Length > 0);
    }

    /// <summary>Whether there can be any. If not, no content needs to be asked.</summary>
    public bool AreConfigured { get; }

    /// <summary>The address of stored content for a client; null: the server sends it itself.</summary>
    public ValueTask<Uri?> LocateAsync(Digest digest, ILocatedContent content, IPAddress? client, CancellationToken cancellationToken)
    {
        Func<ValueTask<Uri?>> address = () => content.LocateAsync(cancellationToken);
        foreach (var step in _steps)
        {
            var inner = address;
            address = () => step.LocateAsync(digest, client, inner);
        }
        return address();
    }
}
