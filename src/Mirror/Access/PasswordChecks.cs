using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Caching.Memory;
using Mirror.Telemetry;

namespace Mirror.Access;

/// <summary>A login is not checked, because too many wait already.</summary>
public sealed class TooManyLoginsException() : Exception("too many logins wait to be checked")
{
    /// <summary>When the client may log in again.</summary>
    public static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(10);
}

/// <summary>
/// Checks at most one password at a time for every two processors. Other logins wait, at most 2048 in all, and at most 512 from one address
/// (an IPv6 /64 counts as one). Wrong passwords must not keep correct ones waiting. So the login with the fewest wrong passwords comes
/// first: counted over its connection, then for its user name from its address, then from its address. Among equals the newest login comes
/// first: clients that try passwords send the next one only after an answer, so their logins are older. At every fourth turn, the fourth
/// newest login is checked instead, however many wrong passwords came before it. So older logins also get turns. A correct password makes
/// the count of its user name from its address zero.
/// </summary>
public sealed partial class PasswordChecks(TimeProvider time, ILogger<PasswordChecks> log) : IDisposable
{
    private const int MaxWaiting = 2048;
    private const int MaxWaitingOfAddress = 512;
    private const int Overtaken = 4;
    // For a user name or an address, this many wrong passwords count as one, and fewer as none. For a connection each one counts.
    private const int Step = 64;
    private const int MaxCounts = 20_000;

    private static readonly int MaxAtOnce = Math.Max(1, Environment.ProcessorCount / 2);
    private static readonly TimeSpan Lately = TimeSpan.FromMinutes(5);

    private readonly Lock _gate = new();
    private readonly List<Waiting> _queue = [];
    private readonly MemoryCache _wrong = new(new MemoryCacheOptions { SizeLimit = MaxCounts });
    private readonly RareLine _full = new(time);
    private int _running;
    private int _turns;

    /// <summary>Checks a password when its turn has come.</summary>
    /// <param name="user">The name that the client gives, known or not.</param>
    /// <param name="check">Returns whether the password is correct. It runs on another thread.</param>
    /// <exception cref="TooManyLoginsException">Too many logins wait that come before this one.</exception>
    public async ValueTask<bool> RunAsync(HttpContext http, string user, Func<bool> check, CancellationToken cancellationToken)
    {
        var client = new Client(http, user, _wrong);
        await EnterAsync(client, cancellationToken);
        try
        {
            var right = await Task.Run(check, CancellationToken.None);
            client.Count(right);
            return right;
        }
        finally
        {
            Leave();
        }
    }

    public void Dispose() => _wrong.Dispose();

    private async Task EnterAsync(Client client, CancellationToken cancellationToken)
    {
        Waiting waiting;
        lock (_gate)
        {
            if (_running < MaxAtOnce)
            {
                _running++;
                return;
            }
            _queue.Add(waiting = new(client));
            var ofAddress = _queue.Count(other => other.Client.Network == client.Network);
            var last = ofAddress > MaxWaitingOfAddress ? Last(_queue.Where(other => other.Client.Network == client.Network))
                : _queue.Count > MaxWaiting ? Last(_queue)
                : null;
            if (last is not null)
            {
                _queue.Remove(last);
                last.Turn.SetException(new TooManyLoginsException());
                if (_full.IsDue())
                    LogFull(_queue.Count, last.Client.Address);
            }
        }
        await using var gone = cancellationToken.Register(() =>
        {
            lock (_gate)
                if (_queue.Remove(waiting))
                    waiting.Turn.SetCanceled(cancellationToken);
        });
        try
        {
            await waiting.Turn.Task;
        }
        catch (TooManyLoginsException)
        {
            client.OfConnection.Add();
            throw;
        }
    }

    private void Leave()
    {
        lock (_gate)
        {
            // The newest is at the end.
            var next = ++_turns % Overtaken == 0 && _queue.Count >= Overtaken
                ? _queue[^Overtaken]
                : _queue.AsEnumerable().Reverse().MinBy(waiting => waiting.Client.Rank);
            if (next is not null)
            {
                _queue.Remove(next);
                next.Turn.SetResult();
            }
            else
            {
                _running--;
            }
        }
    }

    // The oldest of those with the most wrong passwords.
    private static Waiting? Last(IEnumerable<Waiting> queue) => queue.MaxBy(waiting => waiting.Client.Rank);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "{Count} logins wait to be checked, so a login from {Address} was refused with 429; " +
        "if clients there send wrong passwords, correct or block them")]
    private partial void LogFull(int count, IPAddress? address);

    /// <summary>How many wrong passwords a connection, a user name or an address has sent.</summary>
    private class Wrongs
    {
        private int _count;

        internal int Count => Volatile.Read(ref _count);

        internal void Add() => Interlocked.Increment(ref _count);

        internal void Forget() => Volatile.Write(ref _count, 0);
    }

    /// <summary>
    /// The wrong passwords over a connection from one address, and the logins there that were refused because too many waited. The
    /// connection of a proxy carries logins from several addresses.
    /// </summary>
    private sealed class ConnectionWrongs(IPAddress? address) : Wrongs
    {
        internal IPAddress? Address => address;
    }

    /// <summary>Where a login comes from: connection, user name and address, and how many wrong passwords came from each.</summary>
    private sealed class Client
    {
        private readonly Wrongs _ofName;
        private readonly Wrongs _ofNetwork;

        internal Client(HttpContext http, string user, MemoryCache wrong)
        {
            Address = http.Connection.RemoteIpAddress;
            Network = NetworkOf(Address);
            // The name as a number: a client chooses how long the text is.
            _ofName = Of((Network, user.GetHashCode(StringComparison.Ordinal)));
            _ofNetwork = Of(Network);
            var items = http.Features.Get<IConnectionItemsFeature>()?.Items;
            OfConnection = items?.TryGetValue(typeof(PasswordChecks), out var known) == true
                && known is ConnectionWrongs same && Equals(same.Address, Address) ? same : new(Address);
            items?[typeof(PasswordChecks)] = OfConnection;

            Wrongs Of(object key) => wrong.GetOrCreate(key, entry =>
            {
                (entry.Size, entry.SlidingExpiration) = (1, Lately);
                return new Wrongs();
            })!;
        }

        internal IPAddress? Address { get; }

        internal UInt128 Network { get; }

        internal ConnectionWrongs OfConnection { get; }

        /// <summary>The lowest comes first.</summary>
        internal (int Connection, int Name, int Network) Rank =>
            (OfConnection.Count, _ofName.Count / Step, _ofNetwork.Count / Step);

        internal void Count(bool right)
        {
            if (right)
            {
                _ofName.Forget();
                return;
            }
            OfConnection.Add();
            _ofName.Add();
            _ofNetwork.Add();
        }

        // A client that has one IPv6 address usually has all addresses of the same /64.
        private static UInt128 NetworkOf(IPAddress? address)
        {
            if (address is null)
                return 0;
            var bytes = address.MapToIPv6().GetAddressBytes();
            if (address is { AddressFamily: AddressFamily.InterNetworkV6, IsIPv4MappedToIPv6: false })
                bytes.AsSpan(8).Clear();
            return BinaryPrimitives.ReadUInt128BigEndian(bytes);
        }
    }

    private sealed class Waiting(Client client)
    {
        internal Client Client => client;

        internal TaskCompletionSource Turn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
