using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mirror.Tests.Import;

/// <summary>A storage of docker-registry 0.9, as its driver for folders left it.</summary>
internal sealed class V1Storage(string root)
{
    private static readonly DateTimeOffset Time = new(2014, 6, 1, 12, 0, 0, TimeSpan.Zero);

    public string Root => root;

    /// <summary>Adds an image over a parent.</summary>
    /// <param name="parent">Null: none.</param>
    /// <param name="files">The files of its layer, by path.</param>
    /// <param name="isCompressed">Whether its layer is a tar of gzip, and not a plain one.</param>
    /// <returns>Its id.</returns>
    public string AddImage(string? parent, string command, IReadOnlyDictionary<string, string> files, bool isCompressed = true)
    {
        var id = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{parent} {command}")));
        var json = new JsonObject
        {
            ["id"] = id,
            ["created"] = Time.AddMinutes(Ancestry(parent).Count).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"),
            ["container"] = new string('c', 64),
            ["container_config"] = new JsonObject { ["Cmd"] = new JsonArray("/bin/sh", "-c", command) },
            ["docker_version"] = "0.11.1",
            ["author"] = "ann <ann@example.org>",
            ["comment"] = $"step {command}",
            ["config"] = new JsonObject
            {
                ["Cmd"] = new JsonArray("/app", command),
                ["Entrypoint"] = new JsonArray("/entry", "<&+>"),
                ["Env"] = new JsonArray("PATH=/usr/bin:/bin", $"STEP={command}"),
                ["ExposedPorts"] = new JsonObject { ["80/tcp"] = new JsonObject() },
                ["WorkingDir"] = "/srv",
            },
            ["architecture"] = "amd64",
            ["os"] = "linux",
            ["Size"] = 12,
        };
        if (parent is not null)
            json["parent"] = parent;
        var folder = Directory.CreateDirectory(Path.Combine(root, "images", id)).FullName;
        var layer = Layer(files, isCompressed);
        File.WriteAllText(Path.Combine(folder, "json"), json.ToJsonString());
        File.WriteAllBytes(Path.Combine(folder, "layer"), layer);
        File.WriteAllText(Path.Combine(folder, "ancestry"), JsonSerializer.Serialize<string[]>([id, .. Ancestry(parent)]));
        var sum = SHA256.HashData([.. Encoding.UTF8.GetBytes(json.ToJsonString() + "\n"), .. layer]);
        File.WriteAllText(
            Path.Combine(folder, "_checksum"), JsonSerializer.Serialize<string[]>([$"sha256:{Convert.ToHexStringLower(sum)}"]));
        return id;
    }

    public void Tag(string repository, string tag, string id)
    {
        var folder = Directory.CreateDirectory(Path.Combine(root, "repositories", repository)).FullName;
        File.WriteAllText(Path.Combine(folder, $"tag_{tag}"), id);
        File.WriteAllText(Path.Combine(folder, "json"), "{\"last_update\": 1401624000}");
        File.WriteAllText(Path.Combine(folder, "_index_images"), JsonSerializer.Serialize(new[] { new { id } }));
    }

    /// <summary>The path of an image's file.</summary>
    public string PathOf(string id, string file) => Path.Combine(root, "images", id, file);

    /// <summary>The bytes of an image's layer.</summary>
    public byte[] LayerOf(string id) => File.ReadAllBytes(PathOf(id, "layer"));

    /// <summary>The id of an image and of its ancestors, newest first.</summary>
    public IReadOnlyList<string> Ancestry(string? id) =>
        id is null ? [] : JsonSerializer.Deserialize<string[]>(File.ReadAllText(PathOf(id, "ancestry")))!;

    /// <summary>Every file with its bytes, to see that none has changed.</summary>
    public IReadOnlyList<string> Files() =>
    [
        .. Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Select(file => $"{file} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file)))}"),
    ];

    private static byte[] Layer(IReadOnlyDictionary<string, string> files, bool isCompressed)
    {
        using var bytes = new MemoryStream();
        using (var compressed = isCompressed ? new GZipStream(bytes, CompressionLevel.Fastest, leaveOpen: true) : null)
        using (var tar = new TarWriter((Stream?)compressed ?? bytes, TarEntryFormat.Ustar, leaveOpen: true))
            foreach (var (path, text) in files)
                tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, path)
                {
                    DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)),
                    ModificationTime = Time,
                });
        return bytes.ToArray();
    }
}
