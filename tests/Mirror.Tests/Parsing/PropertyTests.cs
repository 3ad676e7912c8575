using System.Text;
using System.Text.Json;
using CsCheck;
using Microsoft.AspNetCore.Http;
using Mirror.Configuration;
using Mirror.Registry;
using Mirror.Storage;
using Mirror.Tests.Resilience;
using Xunit;

namespace Mirror.Tests.Parsing;

/// <summary>What holds for every name, digest, range, manifest, page and duration.</summary>
public sealed class PropertyTests
{
    private static readonly long Count = Figures.Count(2_000, 500_000);

    private static readonly string[] Separators = [".", "_", "__", "-", "---"];

    private static readonly Gen<string> NamePart =
        from words in Gen.String[Gen.Char["abcxyz019"], 1, 6].Array[1, 3]
        from separator in Gen.Int[0, Separators.Length - 1].Select(i => Separators[i])
        select string.Join(separator, words);

    [Fact]
    public void A_name_of_the_grammar_is_read_and_stays_as_it_is() =>
        NamePart.Array[1, 5].Sample(
            parts =>
            {
                var text = string.Join('/', parts);
                Assert.True(RepositoryName.TryParse(text, out var name), text);
                Assert.Equal(text, name.ToString());
                Assert.False(RepositoryName.TryParse(text + "/", out _));
                Assert.False(RepositoryName.TryParse("/" + text, out _));
                Assert.False(RepositoryName.TryParse(text.ToUpperInvariant() + "A", out _));
            },
            iter: Count, threads: 1);

    [Fact]
    public void A_digest_of_any_bytes_is_read_and_stays_as_it_is() =>
        Gen.Select(Gen.Byte.Array[0, 100], Gen.Bool.Select(isLong => isLong ? "sha512" : "sha256")).Sample(
            (bytes, algorithm) =>
            {
                var text = Digest.Of(bytes, algorithm).ToString();
                Assert.True(Digest.TryParse(text, out var digest));
                Assert.Equal(text, digest.ToString());
                Assert.Equal(Digest.Of(bytes, algorithm), digest);
                Assert.False(Digest.TryParse(text[..^1], out _));
                Assert.False(Digest.TryParse(text + "0", out _));
            },
            iter: Count, threads: 1);

    [Fact]
    public void Ranges_are_within_the_whole_and_apart() =>
        Gen.Select(
            Gen.Long[0, 1000],
            Gen.Select(Gen.Long[0, 1200].Nullable(), Gen.Long[0, 1200].Nullable()).Array[1, 20]).Sample(
            (length, asked) =>
            {
                var http = new DefaultHttpContext();
                http.Request.Headers.Range = "bytes=" + string.Join(",", asked.Select(part => $"{part.Item1}-{part.Item2}"));
                if (ByteRange.Of(http.Request, length, "\"x\"") is not { } parts)
                    return;
                Assert.InRange(parts.Count, 0, ByteRange.MaxCount);
                Assert.All(parts, part => Assert.True(0 <= part.From && part.From < part.End && part.End <= length));
                var sorted = parts.OrderBy(part => part.From).ToList();
                Assert.All(sorted.Zip(sorted.Skip(1)), pair => Assert.True(pair.First.End < pair.Second.From));
            },
            iter: Count, threads: 1);

    [Fact]
    public void A_manifest_names_the_blobs_that_were_written_into_it() =>
        Gen.Select(Gen.Byte.Array[0, 10].Array[0, 8], Gen.Bool).Sample(
            (layers, isIndex) =>
            {
                var digests = layers.Select(layer => Digest.Of(layer)).ToList();
                var entries = digests.Select(digest => new { mediaType = "application/vnd.test", digest = digest.ToString(), size = 1 });
                var config = new { mediaType = "application/vnd.test", digest = Digest.Of("c"u8).ToString(), size = 1 };
                var json = isIndex
                    ? JsonSerializer.SerializeToUtf8Bytes(
                        new { schemaVersion = 2, mediaType = MediaTypes.OciIndex, manifests = entries })
                    : JsonSerializer.SerializeToUtf8Bytes(
                        new { schemaVersion = 2, mediaType = MediaTypes.OciManifest, config, layers = entries });
                Assert.True(ManifestDocument.TryParse(json, out var document, out var problem), problem);
                Assert.Equal(
                    digests, document.Entries.Where(entry => entry.Field is "layers" or "manifests").Select(entry => entry.Digest));
            },
            iter: Count / 2, threads: 1);

    [Fact]
    public void A_duration_is_read_as_it_was_written() =>
        Gen.Long.Sample(
            ticks =>
            {
                var duration = TimeSpan.FromTicks(ticks == long.MinValue ? 0 : ticks);
                Assert.True(GoDuration.TryParse(GoDuration.Format(duration), out var read), GoDuration.Format(duration));
                Assert.Equal(duration, read);
            },
            iter: Count, threads: 1);

    [Fact]
    public void A_page_has_as_many_entries_as_were_asked_for() =>
        Gen.Int[0, int.MaxValue].Sample(
            count =>
            {
                var http = new DefaultHttpContext();
                http.Request.QueryString = new QueryString($"?n={count}");
                Assert.Equal(count, Paging.Count(http.Request.Query));
                http.Request.QueryString = new QueryString($"?n={(long)count + int.MaxValue + 1}");
                Assert.Throws<RegistryException>(() => Paging.Count(http.Request.Query));
            },
            iter: Count, threads: 1);

    [Fact]
    public void Text_that_is_no_manifest_is_refused_with_a_reason() =>
        Gen.String.Sample(
            text =>
            {
                if (!ManifestDocument.TryParse(Encoding.UTF8.GetBytes(text), out _, out var problem))
                    Assert.NotEmpty(problem);
            },
            iter: Count, threads: 1);
}
