using System.Buffers;
using System.Collections.Concurrent;
using Microsoft.AspNetCore.Connections;

namespace Mirror.Registry;

/// <summary>
/// The memory that answers pass through: the server's own small blocks, and for the steps of <see cref="SendSize"/> arrays that are kept and
/// used again. The framework's shared arrays are too few for a fleet of clients; what is beyond them became garbage, twice as much as was in use.
/// </summary>
internal sealed class ResponseMemoryPool(MemoryPool<byte> blocks) : MemoryPool<byte>
{
    private static readonly ArrayStack LargeSteps = new(SendSize.Large, SendSize.MaxLarge);
    private static readonly ArrayStack SmallSteps = new(SendSize.Small, 256);

    public override int MaxBufferSize => SendSize.Large;

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1) =>
        minBufferSize <= blocks.MaxBufferSize ? blocks.Rent(minBufferSize)
        : minBufferSize <= SendSize.Small ? SmallSteps.Rent()
        : minBufferSize <= SendSize.Large ? LargeSteps.Rent()
        : throw new ArgumentOutOfRangeException(nameof(minBufferSize), minBufferSize, $"At most {MaxBufferSize} bytes.");

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            blocks.Dispose();
    }

    /// <summary>Puts it around whatever memory the server uses.</summary>
    public static void Use(IServiceCollection services)
    {
        var own = services.Last(static service => service.ServiceType == typeof(IMemoryPoolFactory<byte>));
        services.AddSingleton<IMemoryPoolFactory<byte>>(provider => new Factory(own.ImplementationFactory?.Invoke(provider) as IMemoryPoolFactory<byte>
            ?? (IMemoryPoolFactory<byte>)ActivatorUtilities.CreateInstance(provider, own.ImplementationType!)));
    }

    private sealed class Factory(IMemoryPoolFactory<byte> own) : IMemoryPoolFactory<byte>
    {
        public MemoryPool<byte> Create(MemoryPoolOptions? options = null) => new ResponseMemoryPool(own.Create(options));
    }

    /// <summary>Arrays of one size; so many are kept when nobody uses them.</summary>
    private sealed class ArrayStack(int size, int most)
    {
        private readonly ConcurrentQueue<PooledArray> _free = new();

        public IMemoryOwner<byte> Rent() => _free.TryDequeue(out var step) ? step : new PooledArray(this, size);

        private void Return(PooledArray step)
        {
            if (_free.Count < most)
                _free.Enqueue(step);
        }

        // Pinned, since a send holds it in place anyway.
        private sealed class PooledArray(ArrayStack home, int size) : IMemoryOwner<byte>
        {
            public Memory<byte> Memory { get; } = GC.AllocateUninitializedArray<byte>(size, pinned: true);

            public void Dispose() => home.Return(this);
        }
    }
}
