using Azure.Core;
using Azure.Core.Pipeline;
using Azure.Identity;
using Azure.Storage;
using Azure.Storage.Blobs;

namespace Mirror.Storage.Buckets.Azure;

/// <summary>Creates the client of Azure's library from the settings.</summary>
internal static class AzureClient
{
    /// <summary>The client of the container, with the log-in of the settings.</summary>
    /// <param name="clock">Gets the dates of the store's answers.</param>
    /// <exception cref="FormatException">The account's key is not base64.</exception>
    public static BlobContainerClient Create(AzureOptions options, StoreClock clock)
    {
        var client = new BlobClientOptions
        {
            // registry:2 begins names with a slash. The library would cut it off.
            TrimBlobNameSlashes = false,
            Transport = new HttpClientTransport(BucketHttp.CreateOfStore(clock, options.SkipVerify)),
            Retry = { MaxRetries = 2, Delay = TimeSpan.FromMilliseconds(200), MaxDelay = TimeSpan.FromSeconds(2) },
        };
        return options.UsesKey
            ? new(options.ContainerUrl, new StorageSharedKeyCredential(options.AccountName, options.AccountKey), client)
            : new(options.ContainerUrl, Token(options.Credentials), client);
    }

    private static TokenCredential Token(AzureCredentialsOptions? credentials) => credentials?.Type is AzureCredentialType.ClientSecret
        ? new ClientSecretCredential(credentials.TenantId, credentials.ClientId, credentials.Secret)
        : new DefaultAzureCredential(new DefaultAzureCredentialOptions
        {
            ManagedIdentityClientId = credentials?.ClientId,
            WorkloadIdentityClientId = credentials?.ClientId,
            TenantId = credentials?.TenantId,
            // A server has no developer who is logged in on it.
            ExcludeAzureDeveloperCliCredential = true,
            ExcludeAzurePowerShellCredential = true,
            ExcludeVisualStudioCredential = true,
            ExcludeVisualStudioCodeCredential = true,
            ExcludeInteractiveBrowserCredential = true,
        });
}
