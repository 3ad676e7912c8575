using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Mirror.Storage.Buckets.OpenStack;

namespace Mirror.Storage.Buckets.Swift;

/// <summary>
/// Signs addresses for reading one object (Swift's middleware <c>tempurl</c>), with a key that the container or account keeps. If it keeps
/// none, this server sets one. Another server that found none at the same moment sets another one, and the later one replaces the earlier.
/// So this server does not sign with the key that it has set. It signs with the key that it finds when no other server can still set one.
/// </summary>
internal sealed class SwiftTemporaryUrls(
    SwiftOptions options, SwiftClient client, OpenStackCalls calls, string containerPath, StoreClock clock, TimeProvider time) : IDisposable
{
    private static readonly Version OwnKeysOfContainers = new(2, 3);
    private static readonly TimeSpan KeyLife = TimeSpan.FromMinutes(1);

    private readonly SemaphoreSlim _asking = new(1);
    private Signer? _signer;

    /// <returns>Null: the server offers no such addresses, the account may not set a key, or the key was set a moment ago.</returns>
    public async ValueTask<Uri?> SignAsync(string path, TimeSpan validity, CancellationToken cancellationToken)
    {
        var signer = await SignerAsync(cancellationToken);
        if (signer.Key is null)
            return null;
        var account = await calls.InvokeAsync(
            calls.SmallLimit, async stop => await client.EndpointAsync(stop), cancellationToken);
        var expires = (clock.Now + validity).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
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
        if (_signer is { } known && time.GetElapsedTime(known.Asked) < known.Life)
            return known;
        await _asking.WaitAsync(cancellationToken);
        try
        {
            if (_signer is { } renewed && time.GetElapsedTime(renewed.Asked) < renewed.Life)
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
            return Without(KeyLife);
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
                // Another server that found no key ends this same call within the same time.
                if (options.SecretKey is null)
                    return Without(calls.SmallLimit);
            }
            return new(key, digest, time.GetTimestamp(), KeyLife);
        }
        catch (OpenStackException refused) when (refused.Status is HttpStatusCode.Forbidden)
        {
            return Without(KeyLife);
        }
    }

    private Signer Without(TimeSpan life) => new(null, "", time.GetTimestamp(), life);

    private static string[]? Words(JsonElement offered, string name) =>
        offered.TryGetProperty(name, out var list) && list.ValueKind is JsonValueKind.Array
            ? [.. list.EnumerateArray().Select(word => word.ToString())]
            : null;

    // Without a key there are no addresses. After its life, the key is looked for again.
    private sealed record Signer(string? Key, string Digest, long Asked, TimeSpan Life);
}
