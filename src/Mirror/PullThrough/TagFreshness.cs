using System.Globalization;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Storage;

namespace Mirror.PullThrough;

/// <summary>
/// What upstream last said a tag names, and when: to this replica, or to another. Only a memory: forgetting costs one question to upstream.
/// </summary>
public sealed class TagFreshness : IDisposable
{
    private const int MaxTags = 100_000;
    private const string Kind = "tag";

    // How far another replica's clock may be ahead of ours.
    private static readonly TimeSpan Leeway = TimeSpan.FromSeconds(5);

    private readonly ProxyOptions _proxy;
    private readonly FleetCache _shared;
    private readonly Announcements _announcements;
    private readonly TimeProvider _time;
    private readonly MemoryCache _checks = new(new MemoryCacheOptions { SizeLimit = MaxTags });
    private readonly long _started;

    public TagFreshness(ProxyOptions proxy, FleetCache shared, Announcements announcements, TimeProvider time)
    {
        (_proxy, _shared, _announcements, _time, _started) = (proxy, shared, announcements, time, time.GetTimestamp());
        announcements.TagMoved += ForgetHere;
        announcements.Missed += _checks.Clear;
    }

    /// <summary>What the tag names, if upstream said so within <c>proxy.tags_cache_ttl</c>.</summary>
    public async ValueTask<Descriptor?> FreshAsync(RepositoryName name, string tag)
    {
        if (FreshHere(name, tag) is { } known)
            return known;
        if (_proxy.TagsCacheTtl == TimeSpan.Zero || await _shared.FindAsync(Kind, Place(name, tag)) is not { } text || Parse(text) is not var (descriptor, age))
            return null;
        Remember(name, tag, descriptor, _time.GetTimestamp() - (long)(age.TotalSeconds * _time.TimestampFrequency));
        return FreshHere(name, tag);
    }

    /// <summary>Whether a tag may still be served unchecked (<c>proxy.max_stale</c>). A check that is not remembered counts from the start.</summary>
    public bool MayBeServedStale(RepositoryName name, string tag) =>
        _proxy.MaxStale is not { } longest
        || _time.GetElapsedTime(_checks.TryGetValue((name, tag), out Check? check) ? check!.At : _started) <= longest;

    /// <summary>Upstream just said that the tag names this.</summary>
    /// <param name="moved">Whether it named something else here before.</param>
    public async ValueTask CheckedAsync(RepositoryName name, string tag, Descriptor descriptor, bool moved)
    {
        Remember(name, tag, descriptor, _time.GetTimestamp());
        if (_proxy.TagsCacheTtl > TimeSpan.Zero)
            await _shared.RememberAsync(Kind, Place(name, tag), Format(descriptor), _proxy.TagsCacheTtl);
        if (moved)
            await _announcements.TagMovedAsync(name, tag);
    }

    /// <summary>Upstream just said that there is no such tag.</summary>
    public async ValueTask ForgetAsync(RepositoryName name, string tag)
    {
        ForgetHere(name, tag);
        await _shared.ForgetAsync(Kind, Place(name, tag));
        await _announcements.TagMovedAsync(name, tag);
    }

    public void Dispose() => _checks.Dispose();

    private static string Place(RepositoryName name, string tag) => $"{name}:{tag}";

    private Descriptor? FreshHere(RepositoryName name, string tag) =>
        _checks.TryGetValue((name, tag), out Check? check) && _time.GetElapsedTime(check!.At) < _proxy.TagsCacheTtl ? check.Descriptor : null;

    private void Remember(RepositoryName name, string tag, Descriptor descriptor, long at) =>
        _checks.Set((name, tag), new Check(descriptor, at), new MemoryCacheEntryOptions { Size = 1 });

    private void ForgetHere(RepositoryName name, string tag) => _checks.Remove((name, tag));

    private string Format(Descriptor descriptor) =>
        string.Create(CultureInfo.InvariantCulture, $"{_time.GetUtcNow().ToUnixTimeMilliseconds()} {descriptor.Digest} {descriptor.Size} {descriptor.MediaType}");

    private (Descriptor Descriptor, TimeSpan Age)? Parse(string text)
    {
        if (text.Split(' ', 4) is not [var then, var named, var length, { Length: > 0 } mediaType]
            || !long.TryParse(then, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) || !Digest.TryParse(named, out var digest)
            || !long.TryParse(length, NumberStyles.None, CultureInfo.InvariantCulture, out var size))
            return null;
        var age = TimeSpan.FromMilliseconds(_time.GetUtcNow().ToUnixTimeMilliseconds() - milliseconds);
        return age < -Leeway || age >= _proxy.TagsCacheTtl ? null : (new Descriptor(mediaType, digest, size), age);
    }

    private sealed record Check(Descriptor Descriptor, long At);
}
