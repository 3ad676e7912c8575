namespace Mirror.Tests.Peers.Gcs;

/// <summary>The buckets and their objects. All changes are atomic, and each read sees the changes before it, as at Google.</summary>
internal sealed class GcsBuckets
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, SortedDictionary<string, GcsObject>> _buckets = new(StringComparer.Ordinal);
    private long _generation = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1000;

    public void Create(string bucket)
    {
        lock (_lock)
            if (!_buckets.TryAdd(bucket, new(StringComparer.Ordinal)))
                throw new GcsError(409, "conflict", "Your previous request to create the named bucket succeeded and you already own it.");
    }

    public List<string> Names()
    {
        lock (_lock)
            return [.. _buckets.Keys.Order(StringComparer.Ordinal)];
    }

    public void Delete(string bucket)
    {
        lock (_lock)
        {
            if (Objects(bucket).Count > 0)
                throw new GcsError(409, "conflict", "The bucket you tried to delete is not empty.");
            _buckets.Remove(bucket);
        }
    }

    public void OrMissing(string bucket)
    {
        lock (_lock)
            Objects(bucket);
    }

    /// <exception cref="GcsError">404, or a condition is not met.</exception>
    public GcsObject Find(string bucket, string name, GcsConditions conditions)
    {
        lock (_lock)
        {
            var found = Objects(bucket).GetValueOrDefault(name);
            if (found is null || (conditions.Wanted is { } wanted && wanted != found.Generation))
                throw GcsError.NoObject(bucket, name);
            conditions.Check(found, isRead: true);
            return found;
        }
    }

    /// <summary>Fails as <see cref="Put"/> would fail now.</summary>
    public void Check(string bucket, string name, GcsConditions conditions)
    {
        lock (_lock)
            conditions.Check(Objects(bucket).GetValueOrDefault(name), isRead: false);
    }

    /// <summary>Stores an object, with a generation of its own.</summary>
    public GcsObject Put(GcsObject item, GcsConditions conditions)
    {
        lock (_lock)
        {
            var objects = Objects(item.Bucket);
            conditions.Check(objects.GetValueOrDefault(item.Name), isRead: false);
            var now = DateTimeOffset.UtcNow;
            _generation = Math.Max(_generation + 1, now.ToUnixTimeMilliseconds() * 1000);
            var stored = item with { Generation = _generation, Metageneration = 1, Created = now, Updated = now };
            Forget(objects.GetValueOrDefault(item.Name));
            return objects[item.Name] = stored;
        }
    }

    /// <summary>Changes what is noted of an object; its bytes and its generation stay.</summary>
    public GcsObject Update(string bucket, string name, GcsConditions conditions, Func<GcsObject, GcsObject> change)
    {
        lock (_lock)
        {
            var objects = Objects(bucket);
            var found = objects.GetValueOrDefault(name) ?? throw GcsError.NoObject(bucket, name);
            conditions.Check(found, isRead: false);
            return objects[name] = change(found) with { Metageneration = found.Metageneration + 1, Updated = DateTimeOffset.UtcNow };
        }
    }

    public void Delete(string bucket, string name, GcsConditions conditions)
    {
        lock (_lock)
        {
            var objects = Objects(bucket);
            var found = objects.GetValueOrDefault(name);
            if (found is null || (conditions.Wanted is { } wanted && wanted != found.Generation))
                throw GcsError.NoObject(bucket, name);
            conditions.Check(found, isRead: false);
            objects.Remove(name);
            Forget(found);
        }
    }

    /// <summary>A page of a list. Objects and prefixes count alike.</summary>
    /// <param name="after">The name with which the page before ended; empty at the beginning.</param>
    public (List<GcsObject> Items, List<string> Prefixes, string? Next) List(string bucket, GcsListing wanted, string after)
    {
        lock (_lock)
        {
            List<GcsObject> items = [];
            List<string> prefixes = [];
            var last = "";
            foreach (var (name, item) in Objects(bucket))
            {
                if (!name.StartsWith(wanted.Prefix, StringComparison.Ordinal)
                    || string.CompareOrdinal(name, wanted.From) < 0
                    || (wanted.Until is { } until && string.CompareOrdinal(name, until) >= 0))
                    continue;
                var cut = wanted.Delimiter is { Length: > 0 } delimiter
                    ? name.IndexOf(delimiter, wanted.Prefix.Length, StringComparison.Ordinal)
                    : -1;
                var entry = cut < 0 ? name : name[..(cut + wanted.Delimiter!.Length)];
                if (string.CompareOrdinal(entry, after) <= 0 || entry == last)
                    continue;
                if (items.Count + prefixes.Count == wanted.Max)
                    return (items, prefixes, last);
                last = entry;
                if (cut < 0)
                    items.Add(item);
                else
                    prefixes.Add(entry);
            }
            return (items, prefixes, null);
        }
    }

    private SortedDictionary<string, GcsObject> Objects(string bucket) => _buckets.GetValueOrDefault(bucket) ?? throw GcsError.NoBucket();

    // A reader that has the file open reads it to its end.
    private static void Forget(GcsObject? item)
    {
        if (item is not null)
            File.Delete(item.Bytes.Path);
    }
}

/// <summary>Which objects to list, and how many.</summary>
internal sealed record GcsListing(string Prefix, string? Delimiter, string From, string? Until, int Max);

/// <summary>The conditions of a request, each null if it has none.</summary>
internal sealed record GcsConditions(long? Wanted, long? Match, long? NotMatch, long? MetaMatch, long? MetaNotMatch)
{
    public static GcsConditions None { get; } = new(null, null, null, null, null);

    public void Check(GcsObject? found, bool isRead)
    {
        // Generation 0 stands for an object that does not exist.
        var generation = found?.Generation ?? 0;
        if ((Match is { } match && match != generation) || (MetaMatch is { } meta && meta != found?.Metageneration))
            throw GcsError.ConditionNotMet();
        if ((NotMatch is { } other && other == generation) || (MetaNotMatch is { } otherMeta && otherMeta == found?.Metageneration))
            throw isRead ? GcsError.NotModified() : GcsError.ConditionNotMet();
    }
}
