using System.Collections.Concurrent;

namespace Mirror.Limits;

/// <summary>
/// The memory for bodies that are read into memory. All of them together may have a sixteenth of what the process may use. The first bytes
/// of each are not counted, so that large ones cannot keep small ones out. A body for which there is no room waits for it. Meanwhile those
/// whose clients were the slowest are cut, so that bodies that do not end leave the others their room. Where all wait for room, and so
/// for each other, the youngest is refused. A body is refused at once where many wait already: each that waits has a connection, and a
/// place among the transfers, which others need.
/// </summary>
/// <param name="maxWaiting">How many bodies may wait for room; null: an eighth of the largest number of connections.</param>
#pragma warning disable CA1001 // A semaphore without a wait handle holds only memory.
public sealed class DocumentMemory(int? maxWaiting = null)
#pragma warning restore CA1001
{
    /// <summary>Nearly every manifest is smaller.</summary>
    internal const int Piece = 16 * 1024;

    // A client that came forward in this time is not cut.
    private const int MinStuck = 1000;
    // Each cut body is begun again by a client that means harm: not too many at once.
    private const int CutEvery = 100;

    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    private static readonly long Available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
    private static readonly long Max = Math.Clamp(Available / 16, 16 << 20, 256 << 20);

    // A body is twice in memory when it is complete: in pieces, and as a whole.
    private readonly SemaphoreSlim _free = new((int)(Max / (2 * Piece)));
    private readonly ConcurrentDictionary<Account, bool> _accounts = new();
    private readonly int _maxWaiting = maxWaiting ?? OpenFiles.MaxConnections / 8;
    private int _waiting;
    private long _cutAt;
    private long _opened;

    /// <summary>
    /// How many bytes of a body may wait to be read, for each connection: an eighth of the memory, where every connection has as many. The
    /// connections that have the files of downloads come on top: a sixth of the memory at most.
    /// </summary>
    internal static int MaxWaiting { get; } = (int)Math.Clamp(Available / 8 / (2 * OpenFiles.MaxConnections), 32 * 1024, 1 << 20);

    /// <summary>How many bodies of 4 MiB may be read into memory at a time; a growing one has up to three times its length.</summary>
    internal static int MaxLargeBodies { get; } = (int)(Max / (12 << 20)) + 1;

    /// <summary>The bytes that all bodies together may have beside the first bytes of each.</summary>
    internal static long Room => Max / (2 * Piece) * Piece;

    /// <summary>The bodies that are being read into memory. They need no files, so there may be more of them than of others.</summary>
    public Transfers Transfers { get; } = new(OpenFiles.MaxTransfers * 2);

    /// <summary>The account of one body, until it is disposed.</summary>
    /// <param name="transfer">The body's own, by which it is cut; null for one that is not cut.</param>
    public Account Open(Transfer? transfer) => new(this, transfer);

    private void CutSlowest()
    {
        var now = Environment.TickCount64;
        var last = Interlocked.Read(ref _cutAt);
        if (now - last < CutEvery || Interlocked.CompareExchange(ref _cutAt, now, last) != last)
            return;
        var (slowest, since) = ((Transfer?)null, now - MinStuck);
        foreach (var (account, _) in _accounts)
            if (account.Transfer?.StuckSince is { } stuck && stuck <= since)
                (slowest, since) = (account.Transfer, stuck);
        slowest?.Cut(since);
    }

    // Those that wait keep what they have: without an end for one of them none would go on.
    private bool IsYoungestOfAllWaiting(Account account)
    {
        foreach (var (other, _) in _accounts)
            if (!other.Waits || other.Number > account.Number)
                return false;
        return true;
    }

    /// <summary>What one body has.</summary>
    public sealed class Account : IDisposable
    {
        private readonly DocumentMemory _home;
        private int _pieces;
        private TimeSpan _waited;
        private volatile bool _waits;

        internal Account(DocumentMemory home, Transfer? transfer) =>
            (_home, Transfer, Number) = (home, transfer, Interlocked.Increment(ref home._opened));

        internal Transfer? Transfer { get; }

        internal long Number { get; }

        internal bool Waits => _waits;

        /// <summary>Returns when there is room for the body to have grown to <paramref name="length"/> bytes.</summary>
        /// <exception cref="BusyException">No room came free in time.</exception>
        /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
        public async ValueTask GrowToAsync(long length, CancellationToken cancellationToken)
        {
            for (var needed = (length - 1) / Piece; _pieces < needed; _pieces++)
            {
                if (_pieces == 0)
                    _home._accounts.TryAdd(this, true);
                if (!_home._free.Wait(0, CancellationToken.None))
                    await WaitAsync(cancellationToken);
            }
        }

        private async Task WaitAsync(CancellationToken cancellationToken)
        {
            _waits = true;
            var hasPlace = Interlocked.Increment(ref _home._waiting) <= _home._maxWaiting;
            try
            {
                do
                {
                    _home.CutSlowest();
                    if (await _home._free.WaitAsync(hasPlace ? LookEvery : TimeSpan.Zero, cancellationToken))
                        return;
                }
                while (hasPlace && (_waited += LookEvery) < MaxWait && !_home.IsYoungestOfAllWaiting(this));
            }
            finally
            {
                Interlocked.Decrement(ref _home._waiting);
                _waits = false;
            }
            Dispose();
            throw new BusyException(
                "too many large manifests are being pushed at this moment; try again later", RetryAfter,
                $"push fewer at once, or give the server more memory: all of them together may have {Max >> 20} MiB, a sixteenth of it");
        }

        public void Dispose()
        {
            _home._accounts.TryRemove(this, out _);
            if (_pieces > 0)
                _home._free.Release(_pieces);
            _pieces = 0;
        }
    }
}
