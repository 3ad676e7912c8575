using System.Net;
using System.Net.Sockets;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Storage.Tests.S3;

/// <summary>Reads from a store whose connections are slow.</summary>
public sealed class ReadAheadTests : StoreTests
{
    private const int MiB = 1 << 20;
    private const int Size = (40 * MiB) + 17;

    private readonly S3Store _store = new();
    private SlowLink _link = null!;

    protected override async Task<Stores> CreateAsync()
    {
        var options = await _store.OptionsAsync();
        _link = new SlowLink(new Uri(options.RegionEndpoint!));
        options.RegionEndpoint = _link.Url.OriginalString;
        return _store.Open(options);
    }

    public override async ValueTask DisposeAsync()
    {
        if (_link is not null)
            await _link.DisposeAsync();
        _store.Dispose();
        await base.DisposeAsync();
    }

    [Fact]
    public async Task A_fast_reader_has_several_connections()
    {
        var bytes = Bytes(Size);
        var digest = await StoreAsync(bytes);
        _link.Busiest = 0;
        Assert.Equal(bytes, await ReadAsync(digest));
        Assert.InRange(_link.Busiest, 3, 4);
        // Now from the start, because connections are known to be slow. And of a part, no more than the part.
        Assert.Equal(bytes[(7 * MiB)..(29 * MiB)], await ReadAsync(digest, 7 * MiB, 29 * MiB));
        await using var content = await Content.OpenAsync(digest, Cancel);
        foreach (var (from, until) in new[] { (0, 1), (Size - 1, Size), (Size - (9 * MiB), Size), (3, 30 * MiB), (5, 6) })
            Assert.Equal(bytes[from..until], await ReadAsync(content!, from, until));
    }

    [Fact]
    public async Task A_reader_that_stops_causes_no_more_requests()
    {
        var bytes = Bytes(Size);
        await using var content = await Content.OpenAsync(await StoreAsync(bytes), Cancel);
        (_link.Sent, _link.Asked) = (0, 0);
        await content!.PrepareAsync(0, Size, Cancel);
        var begun = new byte[3 * MiB];
        for (var filled = 0; filled < begun.Length;)
            filled += await content.ReadAsync(filled, begun.AsMemory(filled), Cancel);
        Assert.Equal(bytes[..begun.Length], begun);
        // The piece that it reads, and three more.
        await Until.TrueAsync(() => _link.Sent > 9 * MiB, () => "Nothing is read ahead.");
        Assert.Equal(4, _link.Asked);
        var rest = new byte[Size - begun.Length];
        for (var filled = 0; filled < rest.Length;)
            filled += await content.ReadAsync(begun.Length + filled, rest.AsMemory(filled), Cancel);
        Assert.Equal(bytes[begun.Length..], rest);
    }

    [Fact]
    public async Task All_readers_together_read_eight_pieces_ahead()
    {
        var digest = await StoreAsync(Bytes(Size));
        (_link.Sent, _link.Asked) = (0, 0);
        List<Content> readers = [];
        for (var i = 0; i < 4; i++)
        {
            readers.Add((await Content.OpenAsync(digest, Cancel))!);
            await readers[i].PrepareAsync(0, Size, Cancel);
            for (var filled = 0; filled < 3 * MiB;)
                filled += await readers[i].ReadAsync(filled, new byte[MiB], Cancel);
        }
        await Until.TrueAsync(() => _link.Asked >= 4 + 8, () => "Too little is read ahead.");
        foreach (var reader in readers)
            await reader.DisposeAsync();
        Assert.Equal(4 + 8, _link.Asked);
    }

    [Fact]
    public async Task More_readers_than_buffers_get_the_right_bytes_and_so_do_later_ones()
    {
        var bytes = Bytes(Size / 2);
        var digest = await StoreAsync(bytes);
        for (var round = 0; round < 2; round++)
            foreach (var read in await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => Task.Run(() => ReadAsync(digest), Cancel))))
                Assert.True(bytes.AsSpan().SequenceEqual(read));
        // All buffers were returned, also by readers that left in the middle.
        for (var i = 0; i < 10; i++)
        {
            await using var content = await Content.OpenAsync(digest, Cancel);
            await content!.PrepareAsync(0, bytes.Length, Cancel);
            for (var filled = 0; filled < 6 * MiB;)
                filled += await content.ReadAsync(filled, new byte[MiB], Cancel);
        }
        _link.Busiest = 0;
        Assert.Equal(bytes, await ReadAsync(digest));
        Assert.InRange(_link.Busiest, 3, 4);
    }

    [Fact]
    public async Task A_broken_connection_is_replaced_by_another_one()
    {
        var bytes = Bytes(Size);
        var digest = await StoreAsync(bytes);
        await ReadAsync(digest);
        await using var content = await Content.OpenAsync(digest, Cancel);
        var read = new byte[Size];
        for (var (filled, cuts) = (0, 0); filled < Size;)
        {
            if (filled > (cuts + 1) * 8 * MiB && cuts++ < 4)
                _link.Cut();
            filled += await content!.ReadAsync(filled, read.AsMemory(filled, Math.Min(MiB, Size - filled)), Cancel);
        }
        Assert.Equal(bytes, read);
    }

    // A proxy that limits the bytes per second of each connection.
    private sealed class SlowLink : IAsyncDisposable
    {
        private const int BytesPerSecond = 24 * MiB;

        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly CancellationTokenSource _end = new();
        private readonly List<TcpClient> _clients = [];
        private readonly Uri _store;
        private readonly Task _accepting;
        private long _sent;
        private int _asked;
        private int _busy;
        private int _busiest;

        public SlowLink(Uri store)
        {
            _store = store;
            _listener.Start();
            Url = new Uri($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}");
            _accepting = AcceptAsync();
        }

        public Uri Url { get; }

        /// <summary>The highest number of connections that transferred bytes at the same time.</summary>
        public int Busiest { get => Volatile.Read(ref _busiest); set => Volatile.Write(ref _busiest, value); }

        public long Sent { get => Volatile.Read(ref _sent); set => Volatile.Write(ref _sent, value); }

        /// <summary>How many objects, or parts of them, were requested.</summary>
        public int Asked { get => Volatile.Read(ref _asked); set => Volatile.Write(ref _asked, value); }

        public void Cut()
        {
            lock (_clients)
                _clients.ForEach(client => client.Close());
        }

        public async ValueTask DisposeAsync()
        {
            await _end.CancelAsync();
            _listener.Stop();
            await _accepting;
            Cut();
            _end.Dispose();
        }

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    var client = await _listener.AcceptTcpClientAsync(_end.Token);
                    lock (_clients)
                        _clients.Add(client);
                    _ = ForwardAsync(client);
                }
            }
            catch (Exception ended) when (ended is OperationCanceledException or SocketException or ObjectDisposedException)
            {
            }
        }

        private async Task ForwardAsync(TcpClient client)
        {
            using (client)
            using (var store = new TcpClient())
                try
                {
                    await store.ConnectAsync(_store.Host, _store.Port, _end.Token);
                    var (inner, outer) = (client.GetStream(), store.GetStream());
                    await await Task.WhenAny(SendRequestsAsync(inner, outer), SendAnswersAsync(outer, inner));
                }
                catch (Exception cut) when (
                    cut is IOException or SocketException or OperationCanceledException or InvalidOperationException)
                {
                }
        }

        private async Task SendRequestsAsync(NetworkStream from, NetworkStream to)
        {
            var buffer = new byte[64 * 1024];
            while (await from.ReadAsync(buffer, _end.Token) is > 0 and var read)
            {
                if (buffer.AsSpan(0, read).StartsWith("GET "u8))
                    Interlocked.Increment(ref _asked);
                await to.WriteAsync(buffer.AsMemory(0, read), _end.Token);
            }
        }

        private async Task SendAnswersAsync(NetworkStream from, NetworkStream to)
        {
            const int piece = 256 * 1024;
            var buffer = new byte[piece];
            while (await from.ReadAtLeastAsync(buffer, 1, throwOnEndOfStream: false, _end.Token) is > 0 and var read)
            {
                var busy = Interlocked.Increment(ref _busy);
                for (var seen = Busiest; busy > seen && Interlocked.CompareExchange(ref _busiest, busy, seen) != seen; seen = Busiest)
                {
                }
                try
                {
                    await Task.Delay(TimeSpan.FromSeconds((double)read / BytesPerSecond), _end.Token);
                }
                finally
                {
                    Interlocked.Decrement(ref _busy);
                }
                await to.WriteAsync(buffer.AsMemory(0, read), _end.Token);
                Interlocked.Add(ref _sent, read);
            }
        }
    }
}
