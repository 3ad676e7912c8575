using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Mirror.Storage.Spooling;

/// <summary>
/// A running hash whose state can be saved, and restored by another process. The framework's hashes cannot do this. So this class calls the
/// functions of OpenSSL that the framework calls in the end: they are as fast, and their state consists of plain numbers. If these
/// functions are missing or do not work as expected, it uses the framework's hash, and saves nothing.
/// </summary>
internal sealed unsafe class ResumableHash(string algorithm) : IDisposable
{
    // Whole blocks of both algorithms. A state can be saved only after whole blocks: then it contains no bytes of an incomplete block.
    private const int BlockSize = 128;

    private static readonly Dictionary<string, Functions> OpenSsl = Load();

    private readonly Functions? _functions = OpenSsl.GetValueOrDefault(algorithm);
    private readonly IncrementalHash? _framework = OpenSsl.ContainsKey(algorithm) ? null : Digest.NewHash(algorithm);
    private readonly byte[] _state = OpenSsl.TryGetValue(algorithm, out var functions) ? functions.NewState() : [];

    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (_functions is null)
            _framework!.AppendData(bytes);
        else
            _functions.Append(_state, bytes);
    }

    /// <summary>The hash of what was appended so far; more may follow.</summary>
    public byte[] Current() => _functions is null ? _framework!.GetCurrentHash() : _functions.Finish([.. _state]);

    /// <summary>Starts again with nothing.</summary>
    public void Reset()
    {
        _ = _framework?.GetHashAndReset();
        _functions?.NewState().CopyTo(_state, 0);
    }

    /// <summary>The state after <paramref name="length"/> bytes, all that were appended; null where it cannot be saved.</summary>
    public byte[]? Save(long length) => _functions is null || length % BlockSize != 0 ? null : _state[.._functions.HashSize];

    /// <summary>Goes on from the state that was saved after <paramref name="length"/> bytes; false where that is not possible.</summary>
    public bool Restore(long length, ReadOnlySpan<byte> saved)
    {
        if (_functions is null || length <= 0 || length % BlockSize != 0 || saved.Length != _functions.HashSize)
            return false;
        _functions.Resume(length, saved).CopyTo(_state, 0);
        return true;
    }

    public void Dispose() => _framework?.Dispose();

    private static Dictionary<string, Functions> Load()
    {
        Dictionary<string, Functions> found = [];
        if (!OperatingSystem.IsLinux() || !NativeLibrary.TryLoad("libcrypto.so.3", out var library))
            return found;
        foreach (var algorithm in Digest.Algorithms)
            if (Functions.Find(library, algorithm) is { } functions && functions.IsRight(algorithm))
                found.Add(algorithm, functions);
        return found;
    }

    /// <summary>
    /// The functions of one algorithm (SHA256_Init(3)). Their state begins with the intermediate hash, and then the number of bits in two
    /// words, the lower first.
    /// </summary>
    private sealed class Functions(
        int hashSize, delegate* unmanaged<byte*, int> init, delegate* unmanaged<byte*, byte*, nuint, int> update,
        delegate* unmanaged<byte*, byte*, int> final)
    {
        // The longest state is that of SHA-512: 216 bytes.
        private const int StateSize = 256;

        public int HashSize => hashSize;

        public static Functions? Find(nint library, string algorithm)
        {
            var name = algorithm.ToUpperInvariant();
            return NativeLibrary.TryGetExport(library, $"{name}_Init", out var init)
                && NativeLibrary.TryGetExport(library, $"{name}_Update", out var update)
                && NativeLibrary.TryGetExport(library, $"{name}_Final", out var final)
                ? new Functions(
                    algorithm == "sha256" ? SHA256.HashSizeInBytes : SHA512.HashSizeInBytes, (delegate* unmanaged<byte*, int>)init,
                    (delegate* unmanaged<byte*, byte*, nuint, int>)update, (delegate* unmanaged<byte*, byte*, int>)final)
                : null;
        }

        // These functions are deprecated, and another build of OpenSSL may have another state. So use them only if a test gives the known
        // results.
        public bool IsRight(string algorithm)
        {
            byte[] bytes = [.. Enumerable.Range(0, 3 * BlockSize + 1).Select(at => (byte)at)];
            var first = NewState();
            Append(first, bytes.AsSpan(0, 2 * BlockSize));
            var second = Resume(2 * BlockSize, first.AsSpan(0, hashSize));
            Append(second, bytes.AsSpan(2 * BlockSize));
            return Digest.FromHash(algorithm, Finish(second)) == Digest.Of(bytes, algorithm);
        }

        public byte[] NewState()
        {
            var state = new byte[StateSize];
            fixed (byte* at = state)
                init(at);
            return state;
        }

        // A saved state contains only numbers that are used as numbers. So no state can make the functions read or write other memory.
        public byte[] Resume(long length, ReadOnlySpan<byte> saved)
        {
            var state = NewState();
            saved.CopyTo(state);
            var bits = (ulong)length << 3;
            if (hashSize == SHA256.HashSizeInBytes)
            {
                var words = MemoryMarshal.Cast<byte, uint>(state.AsSpan(hashSize));
                (words[0], words[1]) = ((uint)bits, (uint)(bits >> 32));
            }
            else
                MemoryMarshal.Cast<byte, ulong>(state.AsSpan(hashSize))[0] = bits;
            return state;
        }

        public void Append(byte[] state, ReadOnlySpan<byte> bytes)
        {
            fixed (byte* at = state, from = bytes)
                update(at, from, (nuint)bytes.Length);
        }

        public byte[] Finish(byte[] state)
        {
            var hash = new byte[hashSize];
            fixed (byte* at = state, to = hash)
                final(to, at);
            return hash;
        }
    }
}
