using System.Text.Json;
using Microsoft.Extensions.Primitives;
using Mirror.Configuration;
using Mirror.Repositories;
using Mirror.Schema1;
using Mirror.Storage;

namespace Mirror.Registry;

/// <summary>
/// Requests about manifests of Docker's schema 1: pushes of them, and pulls by clients that read nothing newer. Both need
/// <c>compatibility.schema1.enabled</c>.
/// </summary>
#pragma warning disable CA1001 // A semaphore without a wait handle holds only memory.
public sealed class Schema1Requests(Schema1Options options, Schema1Manifests manifests)
#pragma warning restore CA1001
{
    private readonly SemaphoreSlim _converting = new(2);

    private static readonly string[] Newer =
        [MediaTypes.DockerManifest, MediaTypes.DockerManifestList, MediaTypes.OciManifest, MediaTypes.OciIndex];

    /// <summary>Whether a client pushes a manifest of schema 1: its type says so, or it has none and the content does.</summary>
    public static bool IsPush(string contentType, ReadOnlyMemory<byte> bytes) => MediaTypes.Of(contentType) switch
    {
        MediaTypes.DockerSignedSchema1 or MediaTypes.DockerSchema1 => true,
        "" or "application/json" => ManifestDocument.TryParse(bytes, out var document, out _)
            && document.Type is MediaTypes.DockerSignedSchema1 or MediaTypes.DockerSchema1,
        _ => false,
    };

    /// <summary>The payload of a manifest that a client pushes, whose digest is the one of the manifest.</summary>
    /// <exception cref="RegistryException">It is refused.</exception>
    public byte[] PayloadOf(ReadOnlyMemory<byte> bytes)
    {
        if (!options.Enabled)
            throw new RegistryException(
                RegistryError.ManifestInvalid,
                "manifests of schema 1 are not taken: push the image with a client of today, or set compatibility.schema1.enabled")
            {
                Advice = "to take manifests of schema 1, set compatibility.schema1.enabled to true",
            };
        try
        {
            var signed = SignedManifest.Parse(bytes);
            if (Schema1Manifests.Mistake(signed.Payload) is { } mistake)
                throw Invalid(mistake);
            if (!Schema1Manifests.HasName(signed.Payload))
                throw new RegistryException(RegistryError.NameInvalid, "the 'name' in the manifest is not that of an image");
            return signed.IsVerified()
                ? signed.Payload
                : throw new RegistryException(RegistryError.ManifestUnverified, "a signature is not one of the key in its header");
        }
        // Half a surrogate in a text, or more levels than a document may have.
        catch (Exception malformed) when (malformed is FormatException or JsonException or InvalidOperationException)
        {
            throw Invalid(malformed.Message);
        }
    }

    /// <summary>The manifest that clients get for a payload.</summary>
    public Manifest WithSignature(byte[] payload, Digest digest) => manifests.WithSignature(payload, digest);

    /// <summary>Whether the client that asks for a tag gets schema 1 where that is possible: it names none of the newer types.</summary>
    public bool IsFor(StringValues accept) =>
        options.Enabled && !Array.Exists(Newer, type => accept.ToString().Contains(type, StringComparison.OrdinalIgnoreCase));

    /// <summary>
    /// The image of a tag in schema 1; of a list, its linux/amd64 image. Null for a manifest that cannot be converted, such as one of OCI,
    /// as in <c>registry:2</c>.
    /// </summary>
    public async ValueTask<Answer<Manifest>?> ConvertAsync(
        IRepository repository, string tag, Answer<Manifest> answer, CancellationToken cancellationToken)
    {
        if (answer.Value.Descriptor.MediaType == MediaTypes.DockerManifestList
            && PlatformChoice.LinuxAmd64(answer.Value) is { } child)
            answer = await PlatformChoice.OrIndexAsync(repository.GetManifestAsync(child, cancellationToken), answer);
        if (answer.Value.Descriptor.MediaType != MediaTypes.DockerManifest
            || ManifestDocument.Read(answer.Value.Bytes.Span) is not { HasConfig: true } document
            || await ReadAsync(repository, document.Blobs.Last(blob => blob.Field == "config").Digest, cancellationToken) is not { } config)
            return null;
        // A large config costs ten times its length in memory.
        await _converting.WaitAsync(cancellationToken);
        try
        {
            var layers = document.Blobs.Where(blob => blob.Field == "layers").Select(blob => blob.Digest).ToList();
            var payload = Conversion.PayloadOf(repository.Name, tag, config, layers);
            return answer with { Value = manifests.WithSignature(payload, Digest.Of(payload)) };
        }
        catch (FormatException)
        {
            return null;
        }
        finally
        {
            _converting.Release();
        }
    }

    /// <summary>The blob that stands for steps that changed no file: converted manifests name it, and no client pushed it.</summary>
    public bool IsEmptyLayer(Digest digest) => options.Enabled && digest == Conversion.EmptyLayerDigest;

    private static async ValueTask<byte[]?> ReadAsync(IRepository repository, Digest digest, CancellationToken cancellationToken)
    {
        if (await repository.OpenBlobAsync(digest, ignoreLease: false, cancellationToken) is not { } opened)
            return null;
        await using var content = opened.Value;
        if (content.Length is not (> 0 and <= Conversion.MaxConfigBytes and var length))
            return null;
        var bytes = new byte[length];
        var filled = 0;
        while (filled < bytes.Length && await content.ReadAsync(filled, bytes.AsMemory(filled), cancellationToken) is > 0 and var read)
            filled += read;
        return Digest.Of(bytes, digest.Algorithm) == digest ? bytes : null;
    }

    private static RegistryException Invalid(string why) => new(RegistryError.ManifestInvalid, why);
}
