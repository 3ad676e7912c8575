using Mirror.Configuration;
using Mirror.Storage.Disk;
using Mirror.Storage.Stores;

namespace Mirror.Limits;

/// <summary>
/// Divides the free room of the store between the open uploads. Each limit is a multiple of what is still free, so that many uploads always
/// leave some room to other clients.
/// </summary>
/// <remarks>
/// The number of uploads: one repository may have as many open uploads as there is still room for. One client may have four times as many,
/// because its address may be that of a whole site. The number of bytes: the open uploads of one client, or of one repository, may have
/// four times the bytes that are still free. All open uploads together may have nine times the free bytes.
/// <para>
/// An upload without bytes costs a client nothing, and few clients end those that they do not need. So where the number of uploads has
/// reached its limit, the ones without bytes that have been idle longest end, and make room for a new one.
/// </para>
/// </remarks>
public sealed class UploadQuotas(IUploadStore store, StorageOptions storage, TimeProvider time)
{
    // How much memory to count for one upload. An upload takes far less.
    private const long MemoryForEach = 16 * 1024;
    // An upload is a folder with up to three files.
    private const long FilesForEach = 4;
    private const long PartsOfClient = 4;
    private const long PartsOfAll = 9;

    private static readonly long MaxInMemory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / MemoryForEach;
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(30);
    // How long an upload without bytes stays although it takes the room of a new one.
    private static readonly TimeSpan EmptyStays = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RoomIsKnown = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time = time;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Sum> _sums = [];
    private readonly Sum _all = new("");
    private VolumeRoom _room;
    private long _roomAt;
    // How many bytes all uploads had when the store was last asked for its room.
    private long _bytesThen;

    /// <summary>Counts one more upload until the caller disposes the result.</summary>
    /// <param name="client">The user, or else the address.</param>
    /// <exception cref="BusyException">There are too many uploads: in all, of this client or of this repository.</exception>
    /// <exception cref="IOException">The store does not answer, is full, or is read-only.</exception>
    public Share Open(string client, string repository)
    {
        lock (_gate)
        {
            var share = new Share(this, Of("client " + client), Of("repository " + repository));
            Require(room => WhyNotOneMore(room, share));
            return Add(share);
        }
    }

    /// <summary>Counts an upload that an earlier process or another replica has begun. The limits do not matter for it.</summary>
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
        while (true)
        {
            // The files of the open uploads exist already, so they are not among the free ones.
            var free = Math.Min(MaxInMemory - _all.Count, room.Files / FilesForEach);
            var full = free <= 0 ? _all
                : share.Repository.Count >= free ? share.Repository
                : share.Client.Count >= free * PartsOfClient ? share.Client
                : null;
            if (full is null)
                return null;
            var wait = full.Idle.First is { } idle ? EmptyStays - _time.GetElapsedTime(idle.Value.IdleSince) : RetryAfter;
            if (wait > TimeSpan.Zero)
                return full == _all ? Busy($"{_all.Count} uploads are open, and there is no room for more", isOfClient: false, wait)
                    : full == share.Repository ? Busy($"this repository has {full.Count} open uploads", isOfClient: true, wait)
                    : Busy($"this client has {full.Count} open uploads", isOfClient: true, wait);
            full.Idle.First!.Value.MakeRoom();
        }
    }

    private Exception? WhyNoMoreBytes(VolumeRoom room, Share share, long bytes)
    {
        // On a full volume the write itself fails, with a better message.
        if (room.Bytes == 0)
            return null;
        var now = Math.Max(0, room.Bytes - (_all.Bytes - _bytesThen));
        var free = Math.Max(0, now - bytes);
        // If no open upload has bytes, the end of other uploads makes no room.
        if (bytes > now || _all.Bytes == 0 && bytes > free * PartsOfClient)
            return new NoRoomException(
                $"the volume of {storage.LocalDirectory} has {now} bytes free, and the upload needs {bytes} more"
                + (bytes > now ? "" : ": one client may take four fifths of them"));
        return _all.Bytes + bytes > free * PartsOfAll
                ? Busy($"open uploads have {_all.Bytes} bytes, and there is no room for {bytes} more", isOfClient: false, RetryAfter)
            : Math.Max(share.Client.Bytes, share.Repository.Bytes) + bytes > free * PartsOfClient
                ? Busy(
                    $"open uploads of this client have {share.Client.Bytes} bytes, and of this repository {share.Repository.Bytes}: "
                    + $"{bytes} more would leave too little room to others",
                    isOfClient: false, RetryAfter)
            : null;
    }

    private BusyException Busy(string why, bool isOfClient, TimeSpan wait) =>
        new(
            $"{why}; end or cancel some, or try again later", wait,
            $"make room in {storage.LocalDirectory}, or give the server more memory: this limit follows from both, and no key sets it")
        {
            IsOfClient = isOfClient,
        };

    internal sealed class Sum(string key)
    {
        public string Key => key;
        public long Count { get; set; }
        public long Bytes { get; set; }

        /// <summary>The uploads without bytes that no request uses; the one that has been idle longest comes first.</summary>
        public LinkedList<Share> Idle { get; } = [];
    }

    /// <summary>What one upload takes of the room.</summary>
    public sealed class Share : IDisposable
    {
        private readonly UploadQuotas _quotas;
        private readonly List<LinkedListNode<Share>> _idle = [];
        private Action? _end;
        private int _uses;
        private long _bytes;
        private bool _isOver;

        internal Share(UploadQuotas quotas, Sum client, Sum repository) => (_quotas, Client, Repository) = (quotas, client, repository);

        internal Sum Client { get; }

        internal Sum Repository { get; }

        internal IEnumerable<Sum> Sums => [_quotas._all, Client, Repository];

        /// <summary>Since when no request uses the upload, if it has no bytes.</summary>
        internal long IdleSince { get; private set; }

        /// <summary>Lets the upload end, to make room for another one, while it has no bytes and no request uses it.</summary>
        /// <param name="end">Ends it. It must not wait.</param>
        public void AllowEnd(Action end) => SetEnd(end);

        /// <summary>Lets the upload stay, although another one needs room.</summary>
        public void ForbidEnd() => SetEnd(null);

        /// <summary>Lets the upload stay while a request uses it, until the caller calls <see cref="Unuse"/>.</summary>
        public void Use() => AddUses(1);

        public void Unuse() => AddUses(-1);

        /// <summary>Checks that the store has room for so many more bytes of this upload.</summary>
        /// <exception cref="BusyException">
        /// The open uploads would have too many bytes: in all, of this client or of this repository.
        /// </exception>
        /// <exception cref="NoRoomException">
        /// There are more bytes than the volume has free now; or they exceed the limit of one client although no open upload has bytes.
        /// </exception>
        /// <exception cref="IOException">The store does not answer.</exception>
        public void Require(long bytes)
        {
            lock (_quotas._gate)
            {
                // An answer of the last second is enough to accept bytes. Before it refuses bytes, this asks the store again.
                var isKnown = _quotas._roomAt != 0 && _quotas._time.GetElapsedTime(_quotas._roomAt) < RoomIsKnown;
                if (!isKnown || _quotas.WhyNoMoreBytes(_quotas._room, this, bytes) is not null)
                    _quotas.Require(room => _quotas.WhyNoMoreBytes(room, this, bytes));
            }
        }

        /// <summary>Notes that the upload has <paramref name="bytes"/> bytes now.</summary>
        public void SetLength(long bytes)
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
                SetIdle();
                foreach (var sum in Sums)
                    if (--sum.Count == 0)
                        _quotas._sums.Remove(sum.Key);
            }
        }

        // Under the lock: a request that uses the upload, or its first byte, comes before this or after it.
        internal void MakeRoom()
        {
            var end = _end;
            Dispose();
            end?.Invoke();
        }

        private void SetEnd(Action? end)
        {
            lock (_quotas._gate)
            {
                _end = end;
                SetIdle();
            }
        }

        private void AddUses(int more)
        {
            lock (_quotas._gate)
            {
                _uses += more;
                SetIdle();
            }
        }

        private void SetIdle()
        {
            foreach (var place in _idle)
                place.List!.Remove(place);
            _idle.Clear();
            if (_end is null || _uses > 0 || _isOver)
                return;
            IdleSince = _quotas._time.GetTimestamp();
            foreach (var sum in Sums)
                _idle.Add(sum.Idle.AddLast(this));
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
