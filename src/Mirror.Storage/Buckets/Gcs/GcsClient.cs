using System.Text.Json;
using Google.Apis.Auth.OAuth2;
using Google.Apis.Http;
using Google.Apis.Services;
using Google.Apis.Storage.v1;
using Google.Cloud.Storage.V1;

namespace Mirror.Storage.Buckets.Gcs;

/// <summary>The client of Google's library, and what signs addresses.</summary>
/// <param name="Signer">Null: the credentials have no key to sign with.</param>
internal sealed record GcsClient(StorageService Service, UrlSigner? Signer)
{
    /// <summary>Logs in as the settings say. Only the first call asks a token service.</summary>
    /// <exception cref="InvalidOperationException">There are no such credentials, or they are none of Google's.</exception>
    public static async Task<GcsClient> CreateAsync(GcsOptions options, StoreClock clock, CancellationToken cancellationToken)
    {
        var connections = new Connections(clock);
        var credential = (await CredentialAsync(options, cancellationToken))
            .CreateWithHttpClientFactory(connections)
            .CreateScoped(StorageService.Scope.DevstorageReadWrite);
        var service = new StorageService(new BaseClientService.Initializer
        {
            ApplicationName = "mirror",
            BaseUri = new Uri(options.ServiceUrl, "storage/v1/").AbsoluteUri,
            HttpClientFactory = connections,
            HttpClientInitializer = credential,
            GZipEnabled = false,
            // GcsCalls repeats.
            DefaultExponentialBackOffPolicy = ExponentialBackOffPolicy.None,
        });
        // Each call has its own limit.
        service.HttpClient.Timeout = Timeout.InfiniteTimeSpan;
        var signer = credential.UnderlyingCredential is ServiceAccountCredential account ? UrlSigner.FromCredential(account) : null;
        return new(service, signer);
    }

    private static async Task<GoogleCredential> CredentialAsync(GcsOptions options, CancellationToken cancellationToken)
    {
        if (options is { KeyFile: null, Credentials: null })
            return await GoogleCredential.GetApplicationDefaultAsync(cancellationToken);
        var json = options.KeyFile is { } file ? await File.ReadAllTextAsync(file, cancellationToken) : Json(options.Credentials!);
        using var document = JsonDocument.Parse(json);
        var type = document.RootElement.TryGetProperty("type", out var named) ? named.GetString() : null;
        return CredentialFactory.FromJson(json, type ?? throw new InvalidOperationException(
            "the key has no \"type\": it is not the JSON file that Google gives for a service account"));
    }

    private static string Json(Dictionary<string, string> credentials)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            foreach (var (name, value) in credentials)
                // A variable of the environment has no line breaks.
                writer.WriteString(name, name == "private_key" ? value.Replace("\\n", "\n", StringComparison.Ordinal) : value);
            writer.WriteEndObject();
        }
        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }

    private sealed class Connections(StoreClock clock) : HttpClientFactory, IHttpClientFactory
    {
        // The library would follow a redirect to any host, with our token.
        ConfigurableHttpClient IHttpClientFactory.CreateHttpClient(CreateHttpClientArgs args)
        {
            var client = CreateHttpClient(args);
            client.MessageHandler.FollowRedirect = false;
            return client;
        }

        protected override HttpMessageHandler CreateHandler(CreateHttpClientArgs args) =>
            new StoreAnswers(clock, BucketHttp.CreateHandler(skipVerify: false));
    }
}
