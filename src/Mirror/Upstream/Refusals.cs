using Microsoft.Extensions.Caching.Memory;
using Mirror.Storage;

namespace Mirror.Upstream;

/// <summary>A request for content or a list, with the login of one client or with the accounts of the mirror: the answers differ.</summary>
/// <param name="Account">The client's, or the first one of the mirror.</param>
/// <param name="Path">What follows the repository's name: <c>manifests/latest</c>.</param>
public sealed record UpstreamRequestKey(Account Account, RepositoryName Name, string Path);

/// <summary>
/// What one upstream lately refused, so that repeated requests for missing content cost upstream nothing. Only a cache, with a limit,
/// because clients choose the names.
/// </summary>
public sealed class Refusals(TimeProvider time) : IDisposable
{
    private const int MaxEntries = 10_000;

    private readonly MemoryCache _known = new(new MemoryCacheOptions { SizeLimit = MaxEntries });

    /// <summary>Throws the refusal that is remembered for a request, if there is one.</summary>
    /// <exception cref="UpstreamMissingException">Upstream lacked the content when it was last asked.</exception>
    /// <exception cref="UpstreamDeniedException">Upstream refused access when it was last asked.</exception>
    public void ThrowIfKnown(UpstreamRequestKey key)
    {
        if (_known.Get<Refusal>(key) is not { } refusal || time.GetElapsedTime(refusal.At) >= refusal.Life)
            return;
        // Without the key, so that the life of a remembered refusal is not extended.
        throw refusal.HasAccount is { } hasAccount
            ? new UpstreamDeniedException(refusal.Message, hasAccount)
            {
                LoginAdvice = refusal.LoginAdvice,
                IsOfContent = refusal.IsOfContent,
            }
            : new UpstreamMissingException(refusal.Message);
    }

    /// <summary>Remembers an exception that is upstream's own answer to a request.</summary>
    public void Remember(UpstreamException refusal, TimeSpan life)
    {
        if (refusal.RequestKey is not { } key || life <= TimeSpan.Zero)
            return;
        var denied = refusal as UpstreamDeniedException;
        _known.Set(
            key,
            new Refusal(
                refusal.Message, denied?.HasAccount, denied?.LoginAdvice, denied?.IsOfContent == true, time.GetTimestamp(), life),
            new MemoryCacheEntryOptions { Size = 1 });
    }

    public void Dispose() => _known.Dispose();

    private sealed record Refusal(
        string Message, bool? HasAccount, string? LoginAdvice, bool IsOfContent, long At, TimeSpan Life);
}
