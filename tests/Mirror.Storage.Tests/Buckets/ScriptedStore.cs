using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Mirror.Storage.Buckets;
using Mirror.Storage.Buckets.Azure;
using Mirror.Storage.Buckets.Gcs;
using Mirror.Storage.Buckets.S3;
using Mirror.Storage.Buckets.Swift;
using Mirror.Storage.Tests.Gcs;
using Mirror.Tests.Peers;

namespace Mirror.Storage.Tests.Buckets;

/// <summary>A server that answers what a test says, and buckets of each service that take it for their store.</summary>
internal sealed class ScriptedStore : IAsyncDisposable
{
    private readonly Uri _url = new($"http://127.0.0.1:{Ports.Free().ToString(CultureInfo.InvariantCulture)}");
    private WebApplication _server = null!;

    public Func<HttpContext, Task> AnswerAsync { get; set; } = _ => Task.CompletedTask;

    public async ValueTask StartAsync() => _server = await OwnServer.StartAsync(_url, http => AnswerAsync(http));

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    public async Task<IBucket> ConnectAsync(string service) => service switch
    {
        "s3" => new S3Bucket(
            new S3Options { RegionEndpoint = _url.OriginalString, AccessKey = "key", SecretKey = "secret", Bucket = "images" },
            TimeProvider.System),
        "azure" => new AzureBucket(
            new AzureOptions
            {
                ServiceUrl = $"{_url.OriginalString}/{Azurite.Account}",
                AccountName = Azurite.Account,
                AccountKey = Azurite.Key,
                Container = "images",
                Credentials = new() { Type = AzureCredentialType.SharedKey },
            },
            TimeProvider.System),
        "swift" => new SwiftBucket(
            new SwiftOptions { AuthUrl = $"{_url.OriginalString}/auth/v1.0", Username = "u", Password = "p", Container = "images" },
            TimeProvider.System),
        _ => new GcsBucket(
            new GcsOptions
            {
                Bucket = "images",
                Endpoint = _url.OriginalString,
                Credentials = JsonSerializer.Deserialize<Dictionary<string, string>>(
                    (await SharedGoogleStorage.StartedAsync()).KeyFile()),
            },
            TimeProvider.System),
    };
}
