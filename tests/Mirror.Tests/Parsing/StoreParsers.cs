using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Mirror.Access;
using Mirror.Configuration;
using Mirror.Fleet;
using Mirror.Import;
using Mirror.Notifications;
using Mirror.PullThrough;
using Mirror.Storage;
using Mirror.Storage.Buckets.Swift;
using Mirror.Storage.Disk;
using Mirror.Storage.Files;
using Mirror.Storage.Spooling;
using Mirror.Storage.Stores;
using Mirror.Upstream;
using Xunit;
using static Mirror.Tests.Parsing.Parser;
using static Mirror.Tests.Parsing.ParserInputs;

namespace Mirror.Tests.Parsing;

/// <summary>The parsers of what a folder and Redis hold.</summary>
internal static class StoreParsers
{
    private const string Hash = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

    private static readonly FleetKeys Secrets = new(new HttpOptions { Secret = "a secret" });
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch.AddYears(56);

    public static readonly Dictionary<string, Parser> Rows = new()
    {
        ["htpasswd"] = new(
            ["a:" + Hash + "\n#\nb:{SHA}x", ":", "a:$apr1$x"],
            static (place, text) => HtpasswdFile.Read(place.Write("htpasswd", text)).HashFor("alice", out _), IsSlow: true),
        ["events"] = new(
            ["{\"id\":1}\n", "{\"id\":1}\n{\"id\":2}\n{", "\n\n"], static (place, text) => Events(place, text), IsSlow: true),
        ["checkpoint"] = new(
            ["mirror sha256 1\n\n", "mirror sha256 1\n\n" + Hex + Hex + Hex + Hex],
            static (place, text) => Checkpoints(place, text), IsSlow: true),
        ["schedule"] = new(
            ["{\"library/a@sha256:" + Hex + "\":{\"Key\":\"x\",\"EntryType\":0}}", "{}"],
            static (place, text) => Schedules(place, text), IsSlow: true),
        ["noted-date"] = new(["2026-01-02T03:04:05.0000000+00:00", ""], static (_, text) => NotedDate.Parse(text)),
        ["stored-names"] = new(
            [
                $"seen/library/a/_sha256/{Hex}", "_latest", "deleted/a/_b", "e3",
                "segments/2f6/6da39a3ee5e6b4b0d3255bfef95601890afd80709",
            ],
            static (_, text) => StoredNames(text)),
        ["layer-records"] = new(
            [$"\na sha256:{Hex} sha256:{Hex} 7 .", "a b"],
            static (place, text) => Records(place, text), IsSlow: true),
        ["image-v1"] = new(
            [
                "abc\n[\"abc\",\"abd\"]\n"
                    + "{\"id\":\"abc\",\"created\":\"2014\",\"container_config\":{\"Cmd\":[\"a\",null]},\"author\":\"b\"}",
                "abc\n\n{\"id\":\"abc\",\"parent\":\"\",\"os\":\"linux\",\"size\":1}",
            ],
            static (_, text) => OldImages(text)),
        ["sealed-text"] = new(["", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"], static (_, text) =>
        {
            var secrets = new SealedText(Secrets.For("seals"));
            Assert.False(secrets.TryOpen("place", FuzzText.Bytes(text), out var _));
            Assert.True(secrets.TryOpen("place", secrets.Seal("place", text), out var _));
            Assert.False(secrets.TryOpen("other", secrets.Seal("place", text), out var _));
            Assert.False(secrets.TryOpen("place", null, out var _));
        }),
        ["signed-text"] = new(["http://replica:1 x", "a", $"a {Hex}"], static (_, text) =>
        {
            var signature = new ReplicaSignature(Secrets, TimeProvider.System);
            Assert.False(signature.TryReadText("place", text, out var _));
            Assert.False(signature.TryReadText("place", null, out var _));
            Assert.Equal(text.Length > 0, signature.TryReadText("place", signature.SignText("place", text), out var _));
        }),
        ["announcement"] = new([$"s library/a sha256:{Hex}", "s a latest"], static (_, text) => Announced(text)),
        ["shared-pull"] = new(["library/a latest", $"a sha256:{Hex}"], static (_, text) =>
        {
            foreach (var at in new[] { 0, 1, Now.ToUnixTimeMilliseconds(), long.MaxValue })
                CacheUsage.Parse(text, at, Now);
        }),
        ["shared-tag"] = new(
            [$"{Now.ToUnixTimeMilliseconds()} sha256:{Hex} 7 a/b", "9223372036854775807 sha256:x 1 a"],
            static (_, text) => Assert.True((TagFreshness.Parse(text, Hour, Now)?.Age ?? default) < Hour)),
        ["shared-token"] = new(
            [$"{Now.ToUnixTimeMilliseconds() + 60_000} abc", "9223372036854775807 abc", "1 a"],
            static (_, text) => Assert.True((TokenSource.Parse(text, Now)?.Life ?? default) <= Hour)),
    };

    private static void Events(ParserPlace place, string text)
    {
        var folder = place.Folder.Folder("queue");
        // A new queue has no files, and the sender waits for its first event.
        using (var queue = EventQueue.Open(folder))
        {
            var next = queue.NextAsync(CancellationToken.None);
            queue.Append("{}"u8);
            Assert.Single(next.GetAwaiter().GetResult().Events);
        }
        Directory.Delete(folder, recursive: true);
        // A record of a file that is gone, whatever it says, takes no later event for delivered.
        place.Write(Path.Combine("queue", "0", "delivered"), text);
        using (var queue = EventQueue.Open(folder))
            queue.Append("{}"u8);
        using (var queue = EventQueue.Open(folder))
            Assert.Equal(1, queue.Pending);
        Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(Path.Combine(folder, "0"));
        // A first line with a number makes the first event that much longer: no input is as long as the longest events.
        if (text.Split('\n', 2) is [var number, var rest]
            && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var longer))
            text = new string('x', Math.Min(longer, 5 << 20)) + rest;
        place.Write(Path.Combine("queue", "0", "00000000000000000002.events"), text);
        place.Write(Path.Combine("queue", "0", "x.events"), text);
        place.Write(Path.Combine("queue", "0", "00000000000000000001.events"), text);
        place.Write(
            Path.Combine("queue", "0", "delivered"),
            text.Length % 2 == 0 ? $"1 {text}"
                : string.Create(CultureInfo.InvariantCulture, $"{1 + text.Length / 2 % 2} {text.Length / 2}"));
        using (var queue = EventQueue.Open(folder))
        {
            queue.Append("{}"u8);
            for (var left = 1000; queue.Pending > 0; left--)
            {
                Assert.True(left > 0, "The queue does not end.");
                var batch = queue.NextAsync(CancellationToken.None).GetAwaiter().GetResult();
                Assert.NotEmpty(batch.Events);
                Assert.NotEmpty(batch.Envelope());
                queue.Delivered(batch);
                // A batch of a file that is gone changes nothing.
                queue.Delivered(batch with { Segment = 0 });
            }
        }
        Directory.Delete(folder, recursive: true);
    }

    private static void Checkpoints(ParserPlace place, string text)
    {
        var path = place.Folder["spool"];
        File.WriteAllBytes(path, new byte[1000]);
        place.Write("spool.hash", text);
        using (var spool = Spool.Open(path, "sha256"))
            Assert.True(spool.VerifyAsync(Digest.Of(new byte[1000]), CancellationToken.None).AsTask().GetAwaiter().GetResult());
        // Whole, and for this very file: only then the rest of it is read. What a file says of other bytes is not believed.
        var bytes = FuzzText.Bytes(text);
        if (bytes.Length >= 64)
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(24), FolderPlace.Of(path)!.Value.Inode);
        File.WriteAllBytes(path + ".hash", [.. bytes, .. SHA256.HashData(bytes)]);
        using var again = Spool.Open(path, "sha256");
        Assert.True(again.VerifyAsync(Digest.Of(new byte[1000]), CancellationToken.None).AsTask().GetAwaiter().GetResult());
    }

    private static void Schedules(ParserPlace place, string text)
    {
        place.Write(RegistryLayout.Schedule, text);
        using var evidence = new CopyEvidence(
            new FileProvenanceStore(new StoreRoot(place.Folder.Path, isChecked: false)), TimeProvider.System,
            NullLogger<CopyEvidence>.Instance);
        var digest = Digest.Parse($"sha256:{Hex}");
        evidence.IsNotedAsync(RepositoryName.Parse("library/a"), digest, CancellationToken.None).AsTask().GetAwaiter().GetResult();
    }

    private static void StoredNames(string text)
    {
        RegistryLayout.DatedRepository($"{RegistryLayout.Dates}/{text}");
        RegistryLayout.PinnedTag(text);
        RegistryLayout.IsContentPrefix(text);
        if (text.StartsWith("segments/", StringComparison.Ordinal))
            SwiftSegments.PathOf(text);
    }

    private static void Records(ParserPlace place, string text)
    {
        var path = place.Write(Path.Combine("imports", "x"), text);
        var layer = new StoredLayer(Digest.Of("a"u8), Digest.Of("b"u8), 7);
        using (var records = new LayerRecords(path))
            records.Add("new", layer);
        using var again = new LayerRecords(path);
        Assert.Equal(layer, again.Find("new"));
    }

    private static void OldImages(string text) => Refused<InvalidDataException>(async () =>
    {
        var image = await V1Image.ReadAsync(new OldFiles(text.Split('\n', 3)), new V1Tag("a/b", "c"), CancellationToken.None);
        var layers = image.Layers.Select(_ => new StoredLayer(Digest.Of("a"u8), Digest.Of("b"u8), 7)).ToList();
        var config = V1Conversion.Config(image, layers);
        using var json = JsonDocument.Parse(config);
        Assert.Equal(layers.Count, json.RootElement.GetProperty("history").GetArrayLength());
        Assert.True(ManifestDocument.TryParse(V1Conversion.Manifest(config, layers).Bytes, out var _, out var problem), problem);
    });

    private static void Announced(string text)
    {
        var identity = new FleetIdentity(new(), NullLogger<FleetIdentity>.Instance);
        using var announcements = new Announcements(new RedisKeys(Secrets, identity), TimeProvider.System);
        // First without a listener.
        announcements.Hear(text);
        announcements.ContentRemoved += (name, digest) => Assert.NotEmpty($"{name}{digest}");
        announcements.TagChanged += (name, tag) => Assert.NotNull($"{name}{tag}");
        announcements.Hear(text);
    }

    // The tag, the ancestry and the settings of an image.
    private sealed class OldFiles(string[] texts) : IV1Files
    {
        public string Name => "old";

        public IAsyncEnumerable<V1Tag> TagsAsync(CancellationToken cancellationToken) => AsyncEnumerable.Empty<V1Tag>();

        public ValueTask<long?> SizeAsync(string path, CancellationToken cancellationToken) => new(TextOf(path)?.Length);

        public ValueTask<Stream?> OpenAsync(string path, CancellationToken cancellationToken) =>
            new(TextOf(path) is { } text ? new MemoryStream(FuzzText.Bytes(text)) : null);

        private string? TextOf(string path) =>
            path.EndsWith("/tag_c", StringComparison.Ordinal) ? texts[0]
            : path.EndsWith("/ancestry", StringComparison.Ordinal) ? texts.ElementAtOrDefault(1) is { Length: > 0 } text ? text : null
            : path.EndsWith("/json", StringComparison.Ordinal) ? texts.ElementAtOrDefault(2)
            : null;
    }
}
