using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Mirror.Storage.Buckets.OpenStack;

namespace Mirror.Storage.Buckets.Swift;

/// <summary>
/// Signs addresses for reading one object (Swift's middleware <c>tempurl</c>), with a key that the container or account keeps.
/// </summary>
internal sealed class SwiftTemporaryUrls(
    SwiftOptions options, SwiftClient client, OpenStackCalls calls, string containerPath, TimeProvider time) : IDisposable
{
    private static readonly Version OwnKeysOfContainers = new(2, 3);
    private static readonly TimeSpan KeyLife = TimeSpan.FromMinutes(1);

    private readonly SemaphoreSlim _asking = new(1);
    private Signer? _signer;

    /// <returns>Null: the server offers no such addresses, or the account may not set a key.</returns>
    public async ValueTask<Uri?> SignAsync(string path, TimeSpan validity, CancellationToken cancellationToken)
    {
        var signer = await SignerAsync(cancellationToken);
        if (signer.Key is null)
            return null;
        var account = await calls.InvokeAsync(
            calls.SmallLimit, async stop => await client.EndpointAsync(stop), cancellationToken);
        var expires = (time.GetUtcNow() + validity).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        var signed = $"GET\n{expires}\n{Uri.UnescapeDataString(account.AbsolutePath.TrimEnd('/') + path)}";
        var (key, text) = (Encoding.UTF8.GetBytes(signer.Key), Encoding.UTF8.GetBytes(signed));
#pragma warning disable CA5350 // Servers before 2.15 know no other.
        var signature = signer.Digest switch
        {
            "sha256" => HMACSHA256.HashData(key, text),
            "sha512" => HMACSHA512.HashData(key, text),
            _ => HMACSHA1.HashData(key, text),
        };
#pragma warning restore CA5350
        return new(
            $"{account.OriginalString.TrimEnd('/')}{path}?temp_url_sig={Convert.ToHexStringLower(signature)}&temp_url_expires={expires}");
    }

    public void Dispose() => _asking.Dispose();

    private async ValueTask<Signer> SignerAsync(CancellationToken cancellationToken)
    {
        if (_signer is { } known && time.GetElapsedTime(known.Asked) < KeyLife)
            return known;
        await _asking.WaitAsync(cancellationToken);
        try
        {
            if (_signer is { } renewed && time.GetElapsedTime(renewed.Asked) < KeyLife)
                return renewed;
            return _signer = await calls.InvokeAsync(calls.SmallLimit, AskAsync, cancellationToken);
        }
        finally
        {
            _asking.Release();
        }
    }

    private async Task<Signer> AskAsync(CancellationToken cancellationToken)
    {
        using var info = await client.InfoAsync(cancellationToken);
        if (info is null || !info.RootElement.TryGetProperty("tempurl", out var offered)
            || (Words(offered, "methods") is { } methods && !methods.Contains("GET")))
            return new(null, "", time.GetTimestamp());
        string[] digests = Words(offered, "allowed_digests") ?? ["sha1"];
        var digest = Array.Find(["sha256", "sha512", "sha1"], digests.Contains) ?? "sha256";
        var isOfContainer = info.RootElement.TryGetProperty("swift", out var swift) && swift.TryGetProperty("version", out var version)
            && Version.TryParse(version.GetString()?.Split('-')[0], out var number) && number >= OwnKeysOfContainers;
        var (path, header) = isOfContainer ? (containerPath, "X-Container-Meta-Temp-Url-Key") : ("", "X-Account-Meta-Temp-Url-Key");
        try
        {
            var key = (await client.CallAsync(HttpMethod.Head, path, null, cancellationToken))[header];
            if (key is null || (options.SecretKey is { } wanted && wanted != key))
            {
                key = options.SecretKey ?? Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
                await client.CallAsync(
                    HttpMethod.Post, path, post => post.Headers.TryAddWithoutValidation(header, key), cancellationToken);
            }
            return new(key, digest, time.GetTimestamp());
        }
        catch (OpenStackException refused) when (refused.Status is HttpStatusCode.Forbidden)
        {
            return new(null, "", time.GetTimestamp());
        }
    }

    private static string[]? Words(JsonElement offered, string name) =>
        offered.TryGetProperty(name, out var list) && list.ValueKind is JsonValueKind.Array
            ? [.. list.EnumerateArray().Select(word => word.ToString())]
            : null;

    // Without a key there are no addresses.
    private sealed record Signer(string? Key, string Digest, long Asked);
}
