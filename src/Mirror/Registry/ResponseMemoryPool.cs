using System.Buffers;
using System.Collections.Concurrent;
using Microsoft.AspNetCore.Connections;

namespace Mirror.Registry;

/// <summary>
/// The memory that answers are sent from: the server's own blocks of 4 KiB, and arrays of the sizes in <see cref="SendSize"/>, which are
/// kept and used again. The framework's <c>ArrayPool</c> keeps too few arrays for hundreds of clients, and the others became garbage. With
/// this pool, 200 clients that read an uncached blob of 128 MiB at once cost 129 MiB instead of 242 (docs/performance.md).
/// </summary>
internal sealed class ResponseMemoryPool(MemoryPool<byte> blocks) : MemoryPool<byte>
{
    private static readonly ArrayStack LargeArrays = new(SendSize.Large, SendSize.MaxLarge);
    private static readonly ArrayStack SmallArrays = new(SendSize.Small, 256);

    public override int MaxBufferSize => SendSize.Large;

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1) =>
        minBufferSize <= blocks.MaxBufferSize ? blocks.Rent(minBufferSize)
        : minBufferSize <= SendSize.Small ? SmallArrays.Rent()
        : minBufferSize <= SendSize.Large ? LargeArrays.Rent()
        : throw new ArgumentOutOfRangeException(nameof(minBufferSize), minBufferSize, $"At most {MaxBufferSize} bytes.");

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            blocks.Dispose();
    }

    /// <summary>Puts this pool around the one that the server uses.</summary>
    public static void Use(IServiceCollection services)
    {
        var own = services.Last(static service => service.ServiceType == typeof(IMemoryPoolFactory<byte>));
        services.AddSingleton<IMemoryPoolFactory<byte>>(provider => new Factory(
            own.ImplementationFactory?.Invoke(provider) as IMemoryPoolFactory<byte>
            ?? (IMemoryPoolFactory<byte>)ActivatorUtilities.CreateInstance(provider, own.ImplementationType!)));
    }

    private sealed class Factory(IMemoryPoolFactory<byte> own) : IMemoryPoolFactory<byte>
    {
        public MemoryPool<byte> Create(MemoryPoolOptions? options = null) => new ResponseMemoryPool(own.Create(options));
    }

    /// <summary>Arrays of one size. It keeps <paramref name="maxFree"/> unused arrays at most.</summary>
    private sealed class ArrayStack(int size, int maxFree)
    {
        private readonly ConcurrentQueue<PooledArray> _free = new();

        public IMemoryOwner<byte> Rent() => _free.TryDequeue(out var array) ? array : new PooledArray(this, size);

        private void Return(PooledArray array)
        {
            if (_free.Count < maxFree)
                _free.Enqueue(array);
        }

        // Pinned once, because each send would pin it anyway.
        private sealed class PooledArray(ArrayStack home, int size) : IMemoryOwner<byte>
        {
            public Memory<byte> Memory { get; } = GC.AllocateUninitializedArray<byte>(size, pinned: true);

            public void Dispose() => home.Return(this);
        }
    }
}
