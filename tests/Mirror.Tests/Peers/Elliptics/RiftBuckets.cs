using System.Collections.Concurrent;

namespace Mirror.Tests.Peers.Elliptics;

/// <summary>The buckets of a server.</summary>
internal sealed class RiftBuckets(IEnumerable<RiftBucket> buckets)
{
    private const int Most = 1000;

    private readonly ConcurrentDictionary<string, RiftBucket> _buckets =
        new(buckets.Select(bucket => KeyValuePair.Create(bucket.Name, bucket)));

    public RiftBucket? Find(string name) => _buckets.GetValueOrDefault(name);

    /// <returns>False: there are too many.</returns>
    public bool Set(RiftBucket bucket)
    {
        if (_buckets.Count >= Most && !_buckets.ContainsKey(bucket.Name))
            return false;
        _buckets[bucket.Name] = bucket;
        return true;
    }

    public void Remove(string name) => _buckets.TryRemove(name, out _);
}

/// <summary>Which object a request is about.</summary>
/// <param name="Bucket">The namespace of the key; null: none.</param>
/// <param name="Name">The key; the id itself where the request gave only that.</param>
internal readonly record struct RiftKey(string? Bucket, string Name, string Id)
{
    public RiftKey(string? bucket, string name)
        : this(bucket, name, RiftObjects.IdOf(bucket, name))
    {
    }
}
