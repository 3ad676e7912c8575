using System.Net;
using Mirror.Configuration;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Redirects;

/// <summary><c>cloudfront</c>: a distribution of CloudFront with the bucket behind it, whose addresses are signed.</summary>
internal sealed class CloudFrontStep : IAddressStep
{
    private readonly StorageMiddlewareSettings _options;
    private readonly string _base;
    private readonly CloudFrontSigner _signer;
    private readonly AwsAddresses _aws;
    private readonly TimeProvider _time;

    /// <param name="root">What the keys of all objects begin with.</param>
    public CloudFrontStep(StorageMiddlewareSettings options, string root, AwsAddresses aws, TimeProvider time)
    {
        (_options, _aws, _time) = (options, aws, time);
        var url = options.BaseUrl!.TrimEnd('/');
        var folders = root.Split('/').Select(Uri.EscapeDataString);
        _base = $"{(url.Contains("://", StringComparison.Ordinal) ? url : $"https://{url}")}/{string.Join('/', folders)}";
        _signer = new(options.PrivateKey!, options.KeyPairId!);
    }

    public async ValueTask<Uri?> LocateAsync(Digest digest, IPAddress? client, Func<ValueTask<Uri?>> inner) =>
        client is not null && _options.IpFilteredBy is not AwsClients.None && _aws.Contain(client)
            ? await inner()
            : _signer.Sign($"{_base}{RegistryLayout.BlobData(digest)}", _time.GetUtcNow() + _options.Duration);
}
