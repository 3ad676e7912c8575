using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Mirror.Storage;
using Mirror.Tests.Upstream;

namespace Mirror.Tests.Images;

/// <summary>One layer: a compressed tar, its digest, and the digest of the tar itself.</summary>
public sealed record TestLayer(byte[] Bytes, Digest DiffId)
{
    public Digest Digest { get; } = Digest.Of(Bytes);
}

/// <summary>A small image that Docker, containerd and podman can unpack. The same seed is the same image in every run.</summary>
public sealed class TestImage
{
    private TestImage(ImageTypes types, string architecture, IReadOnlyList<TestLayer> layers)
    {
        (Types, Architecture, Layers) = (types, architecture, layers);
        Config = JsonSerializer.SerializeToUtf8Bytes(new
        {
            architecture,
            os = "linux",
            created = "2024-01-01T00:00:00Z",
            config = new { Cmd = new[] { "/bin/hello" }, Env = new[] { "PATH=/bin" } },
            rootfs = new { type = "layers", diff_ids = layers.Select(l => l.DiffId.ToString()) },
            history = layers.Select((_, i) => new { created = "2024-01-01T00:00:00Z", created_by = $"layer {i}" }),
        });
        Manifest = ManifestText.Image(types, (Digest.Of(Config), Config.Length), layers.Select(l => (l.Digest, (long)l.Bytes.Length)));
    }

    public ImageTypes Types { get; }

    public string Architecture { get; }

    public IReadOnlyList<TestLayer> Layers { get; }

    public byte[] Config { get; }

    public byte[] Manifest { get; }

    /// <summary>The digest of the manifest.</summary>
    public Digest Digest => Digest.Of(Manifest);

    /// <summary>Config and layers: what the pull of an uncached image fetches as blobs.</summary>
    public IEnumerable<Digest> Blobs => [Digest.Of(Config), .. Layers.Select(l => l.Digest)];

    /// <param name="seed">Images of different seeds share no layer.</param>
    /// <param name="layers">How many layers; with the config, one blob more.</param>
    /// <param name="layerBytes">Incompressible content of each layer.</param>
    public static TestImage Create(int seed, int layers = 2, int layerBytes = 64 * 1024, bool oci = false, string architecture = "amd64") =>
        new(new ImageTypes(oci), architecture, [.. Enumerable.Range(0, layers).Select(i => Layer(seed, i, layerBytes))]);

    /// <summary>An image with the layers of another one and a layer of its own.</summary>
    public static TestImage On(TestImage below, int seed) =>
        new(below.Types, below.Architecture, [.. below.Layers, Layer(seed, below.Layers.Count, 64 * 1024)]);

    private static TestLayer Layer(int seed, int index, int size)
    {
        using var tar = new MemoryStream();
        using (var writer = new TarWriter(tar, TarEntryFormat.Ustar, leaveOpen: true))
        {
            if (index == 0)
            {
                Add(writer, TarEntryType.Directory, "bin/", null);
                Add(writer, TarEntryType.RegularFile, "bin/hello", Encoding.UTF8.GetBytes("#!/bin/sh\necho hello\n"));
                Add(writer, TarEntryType.Directory, "data/", null);
            }
            Add(writer, TarEntryType.RegularFile, $"data/layer-{index}", HubBlob.Seeded(seed * 100 + index, size).Slice(0, size));
        }
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(tar.GetBuffer(), 0, (int)tar.Length);
        return new TestLayer(packed.ToArray(), Digest.Of(tar.GetBuffer().AsSpan(0, (int)tar.Length)));
    }

    private static void Add(TarWriter writer, TarEntryType type, string name, byte[]? content)
    {
        var entry = new UstarTarEntry(type, name)
        {
            Mode = (UnixFileMode)Convert.ToInt32("755", 8),
            ModificationTime = DateTimeOffset.UnixEpoch,
        };
        if (content is not null)
            entry.DataStream = new MemoryStream(content);
        writer.WriteEntry(entry);
    }
}
