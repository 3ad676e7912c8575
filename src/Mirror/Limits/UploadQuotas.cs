using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Limits;

/// <summary>
/// Divides what the store has free between the uploads that clients began and did not end. Each limit is a share of what is still free, so
/// that a crowd of uploads always leaves some to others: one repository may have as many uploads as are free, and one client four times as
/// many, because its address may be that of a whole site.
/// </summary>
public sealed class UploadQuotas(IUploadStore store, TimeProvider time)
{
    // What an upload keeps in memory is a small part of this.
    private const long MemoryForEach = 16 * 1024;
    // A folder with up to three files.
    private const long FilesForEach = 4;
    private const long PartsOfClient = 4;
    private const long PartsOfAll = 9;

    private static readonly long MaxInMemory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / MemoryForEach;
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan RoomIsKnown = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time = time;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Sum> _sums = [];
    private readonly Sum _all = new("");
    private VolumeRoom _room;
    private long _roomAt;
    // What all uploads had when the room was asked.
    private long _bytesThen;

    /// <summary>Counts one more upload, until the result is disposed.</summary>
    /// <param name="client">The user, or else the address.</param>
    /// <exception cref="BusyException">All uploads, or those of this client or this repository, are too many.</exception>
    /// <exception cref="IOException">The store is away, full or read-only.</exception>
    public Share Open(string client, string repository)
    {
        lock (_gate)
        {
            var share = new Share(this, Of("client " + client), Of("repository " + repository));
            Require(room => WhyNotOneMore(room, share));
            return Add(share);
        }
    }

    /// <summary>Counts an upload that an earlier process, or another one, has begun; whatever the limits are.</summary>
    public Share Adopt(string client, string repository)
    {
        lock (_gate)
            return Add(new Share(this, Of("client " + client), Of("repository " + repository)));
    }

    private Share Add(Share share)
    {
        foreach (var sum in share.Sums)
        {
            sum.Count++;
            if (sum != _all)
                _sums[sum.Key] = sum;
        }
        return share;
    }

    private Sum Of(string key) => _sums.TryGetValue(key, out var sum) ? sum : new Sum(key);

    private void Require(Func<VolumeRoom, Exception?> whyNot)
    {
        (_room, _roomAt, _bytesThen) = (store.Room(), _time.GetTimestamp(), _all.Bytes);
        if (whyNot(_room) is { } refusal)
            throw refusal;
    }

    private Exception? WhyNotOneMore(VolumeRoom room, Share share)
    {
        const int readOnly = 30, noSpaceLeft = 28;
        if (room.IsReadOnly)
            return new IOException("The volume of the uploads is read-only.", readOnly);
        if (room.Bytes == 0 || room.Files < FilesForEach)
            return new IOException("The volume of the uploads has no room left.", noSpaceLeft);
        // Those that exist have taken their files already.
        var free = Math.Min(MaxInMemory - _all.Count, room.Files / FilesForEach);
        return free <= 0 ? Busy($"{_all.Count} uploads are open, and there is no room for more", isOfClient: false)
            : share.Repository.Count >= free ? Busy($"this repository has {share.Repository.Count} open uploads", isOfClient: true)
            : share.Client.Count >= free * PartsOfClient ? Busy($"this client has {share.Client.Count} open uploads", isOfClient: true)
            : null;
    }

    private BusyException? WhyNoMoreBytes(VolumeRoom room, Share share, long bytes)
    {
        // A volume that is full says so itself.
        if (room.Bytes == 0)
            return null;
        var free = Math.Max(0, room.Bytes - (_all.Bytes - _bytesThen) - bytes);
        return _all.Bytes + bytes > free * PartsOfAll
                ? Busy($"open uploads have {_all.Bytes} bytes, and there is no room for {bytes} more", isOfClient: false)
            : Math.Max(share.Client.Bytes, share.Repository.Bytes) + bytes > free * PartsOfClient
                ? Busy(
                    $"open uploads of this client have {share.Client.Bytes} bytes, and of this repository {share.Repository.Bytes}: "
                    + $"{bytes} more would leave too little room to others",
                    isOfClient: false)
            : null;
    }

    private static BusyException Busy(string why, bool isOfClient) =>
        new($"{why}; end or cancel some, or try again later", RetryAfter) { IsOfClient = isOfClient };

    internal sealed class Sum(string key)
    {
        public string Key => key;
        public long Count { get; set; }
        public long Bytes { get; set; }
    }

    /// <summary>What one upload has.</summary>
    public sealed class Share : IDisposable
    {
        private readonly UploadQuotas _quotas;
        private long _bytes;
        private bool _isOver;

        internal Share(UploadQuotas quotas, Sum client, Sum repository) => (_quotas, Client, Repository) = (quotas, client, repository);

        internal Sum Client { get; }

        internal Sum Repository { get; }

        internal IEnumerable<Sum> Sums => [_quotas._all, Client, Repository];

        /// <summary>Asks whether the store takes so many more bytes of this upload.</summary>
        /// <exception cref="BusyException">All uploads, or those of this client or this repository, would have too many bytes.</exception>
        /// <exception cref="IOException">The store is away.</exception>
        public void Require(long bytes)
        {
            lock (_quotas._gate)
            {
                // What was asked a moment ago may let bytes in, but keeps none out.
                var isKnown = _quotas._roomAt != 0 && _quotas._time.GetElapsedTime(_quotas._roomAt) < RoomIsKnown;
                if (!isKnown || _quotas.WhyNoMoreBytes(_quotas._room, this, bytes) is not null)
                    _quotas.Require(room => _quotas.WhyNoMoreBytes(room, this, bytes));
            }
        }

        /// <summary>The upload has <paramref name="bytes"/> bytes now.</summary>
        public void Has(long bytes)
        {
            lock (_quotas._gate)
                SetBytes(bytes);
        }

        public void Dispose()
        {
            lock (_quotas._gate)
            {
                if (_isOver)
                    return;
                SetBytes(0);
                _isOver = true;
                foreach (var sum in Sums)
                    if (--sum.Count == 0)
                        _quotas._sums.Remove(sum.Key);
            }
        }

        private void SetBytes(long bytes)
        {
            if (_isOver)
                return;
            foreach (var sum in Sums)
                sum.Bytes += bytes - _bytes;
            _bytes = bytes;
        }
    }
}
