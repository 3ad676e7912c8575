using System.Security.Cryptography;
using System.Text;
using Mirror.Storage.Stores;

namespace Mirror.Storage.Buckets;

/// <summary>The secret of a bucket: an object to which the mirror never redirects a client.</summary>
public sealed class BucketStoreSecret(IBucket bucket) : IStoreSecret
{
    public async ValueTask<byte[]> ReadAsync(CancellationToken cancellationToken)
    {
        var text = await bucket.ReadTextAsync(RegistryLayout.StoreSecret, cancellationToken);
        if (text is null)
        {
            var own = Encoding.ASCII.GetBytes(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)));
            // If another process was first, its object stays.
            await bucket.PutBytesAsync(RegistryLayout.StoreSecret, own, onlyIfAbsent: true, cancellationToken);
            text = await bucket.ReadTextAsync(RegistryLayout.StoreSecret, cancellationToken);
        }
        return text is { Length: 64 } ? Convert.FromHexString(text) : throw new IOException($"{RegistryLayout.StoreSecret} is damaged");
    }
}
