using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Upstream;

namespace Mirror.PullThrough;

/// <summary>
/// Finds out whether content without a provenance record was copied or pushed: content of <c>registry:2</c>, and of versions of this server
/// that wrote no records. It is a copy if <c>registry:2</c> noted it as one, or if upstream has it by the same digest.
/// </summary>
public sealed partial class CopyEvidence(IProvenanceStore provenance, TimeProvider time, ILogger<CopyEvidence> log) : IDisposable
{
    // About 200,000 entries. In memory each takes 32 bytes.
    private const int MaxNotesBytes = 64 << 20;

    // registry:2 may still write to the store.
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    private readonly SemaphoreSlim _gate = new(1, 1);
    private HashSet<UInt128> _notes = [];
    private long? _readAt;

    /// <summary>Whether <c>registry:2</c> noted that it copied this content of the repository from upstream.</summary>
    public async ValueTask<bool> IsNotedAsync(RepositoryName name, Digest digest, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            if (_readAt is not { } at || time.GetElapsedTime(at) > Lifetime)
                (_notes, _readAt) = (await ReadAsync(cancellationToken), time.GetTimestamp());
            return _notes.Contains(Key(Encoding.UTF8.GetBytes($"{name}@{digest}")));
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Whether upstream has a stored manifest by its digest.</summary>
    /// <param name="size">The length in bytes that is stored; null where its bytes are missing.</param>
    /// <exception cref="UpstreamException">Upstream does not have the manifest, or gives no answer.</exception>
    public static async Task<bool> HasManifestAsync(
        UpstreamClient upstream, RepositoryName name, Digest digest, long? size, CancellationToken stop) =>
        // If the HEAD is no answer, or tells of another manifest, request the manifest itself.
        await upstream.HeadManifestAsync(name, digest, stop) is ({ } head, _) && head.Size == (size ?? head.Size)
            || (await upstream.GetManifestAsync(name, digest, stop)).Value.Descriptor.Digest == digest;

    /// <summary>Whether upstream has a stored blob.</summary>
    /// <inheritdoc cref="HasManifestAsync" path="/*[self::param or self::exception]"/>
    public static async Task<bool> HasBlobAsync(
        UpstreamClient upstream, RepositoryName name, Digest digest, long? size, CancellationToken stop) =>
        await upstream.HeadBlobAsync(name, digest, size, stop) is { } told && told == (size ?? told);

    public void Dispose() => _gate.Dispose();

    // {"library/alpine@sha256:...":{...},...}
    private async Task<HashSet<UInt128>> ReadAsync(CancellationToken stop)
    {
        HashSet<UInt128> notes = [];
        if (await provenance.ReadScheduleAsync(MaxNotesBytes, stop) is not { } bytes)
            return notes;
        try
        {
            Read(bytes, notes);
        }
        // Half a surrogate pair in a name is an InvalidOperationException.
        catch (Exception damaged) when (damaged is JsonException or InvalidOperationException)
        {
            LogDamaged(RegistryLayout.Schedule, damaged.Message);
        }
        return notes;

        static void Read(byte[] bytes, HashSet<UInt128> notes)
        {
            var json = new Utf8JsonReader(bytes);
            while (json.Read())
                if (json is { TokenType: JsonTokenType.PropertyName, CurrentDepth: 1 })
                    notes.Add(Key(json.ValueIsEscaped ? Encoding.UTF8.GetBytes(json.GetString()!) : json.ValueSpan));
        }
    }

    private static UInt128 Key(ReadOnlySpan<byte> text)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(text, hash);
        return System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(hash);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{File} in the storage is damaged and ignored: {Reason}")]
    private partial void LogDamaged(string file, string reason);
}
