using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using CsCheck;
using Microsoft.AspNetCore.Http;
using Mirror.Configuration;
using Mirror.Registry;
using Mirror.Repositories;
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

    // OCI distribution-spec 1.1.1, "Pulling manifests".
    private static readonly Regex SpecifiedPart = new(@"\A[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*\z", RegexOptions.CultureInvariant);

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

    [Fact]
    public void A_name_is_read_exactly_if_the_grammar_of_the_specification_has_it() =>
        Gen.String[Gen.Char["ab0._-/A:"], 0, 14].Sample(
            text => Assert.Equal(
                text.Split('/').All(part => SpecifiedPart.IsMatch(part)), RepositoryName.TryParse(text, out _)),
            iter: Count, threads: 1);

    [Fact]
    public void A_digest_is_read_exactly_if_it_has_a_known_algorithm_and_its_digits() =>
        Gen.Select(Any("sha256", "sha512", "sha384", "SHA256", ""), Any(":", "-", ""),
            Gen.Select(Any(0, 1, 63, 64, 65, 127, 128, 129), Any("0123456789abcdef", "0123456789abcdefAg"))
                .SelectMany((length, digits) => Gen.String[Gen.Char[digits], length, length])).Sample(
            (algorithm, colon, digits) => Assert.Equal(
                colon == ":" && (algorithm, digits.Length) is ("sha256", 64) or ("sha512", 128) && digits.All(char.IsAsciiHexDigitLower),
                Digest.TryParse($"{algorithm}{colon}{digits}", out _)),
            iter: Count, threads: 1);

    [Fact]
    public void Ranges_have_the_bytes_that_were_asked_for_and_no_others() =>
        Gen.Select(Gen.Int[1, 60], Gen.Select(Gen.Int[0, 70], Gen.Int[0, 30]).Array[1, 8], Gen.Int[0, 20]).Sample(
            (length, asked, suffix) =>
            {
                var http = new DefaultHttpContext();
                var words = asked.Select(part => $"{part.Item1}-{part.Item1 + part.Item2}").Append($"-{suffix}");
                http.Request.Headers.Range = $"bytes={string.Join(",", words)}";
                bool IsAsked(int at) =>
                    at >= length - suffix || asked.Any(part => part.Item1 <= at && at <= part.Item1 + part.Item2);
                if (ByteRange.Of(http.Request, length, "\"x\"") is { } parts)
                    Assert.All(
                        Enumerable.Range(0, length), at => Assert.Equal(IsAsked(at), parts.Any(part => part.From <= at && at < part.End)));
            },
            iter: Count, threads: 1);

    [Fact]
    public void A_chunk_is_taken_exactly_if_it_is_the_next_one() =>
        Gen.Select(
            Gen.Long[0, 5], Gen.Long[0, 5], Gen.Long[0, 50], Any("", "bytes ", "bytes="),
            Any("", "/*", "/100")).Sample(
            (offset, start, end, unit, total) =>
            {
                var http = new DefaultHttpContext();
                http.Request.Headers.ContentRange = $"{unit}{start}-{end}{total}";
                if (start == offset && end >= start)
                    Assert.Equal(end - start + 1, ContentRange.Length(http.Request, offset));
                else
                    Assert.Throws<RegistryException>(() => ContentRange.Length(http.Request, offset));
            },
            iter: Count, threads: 1);

    [Fact]
    public void A_duration_is_the_sum_of_its_parts() =>
        Gen.Select(
            Gen.Int[0, 1000],
            Any(("h", 36_000_000_000L), ("m", 600_000_000L), ("s", 10_000_000L), ("ms", 10_000L), ("us", 10L)))
            .Array[1, 6].Sample(
                parts =>
                {
                    var text = string.Concat(parts.Select(part => $"{part.Item1}{part.Item2.Item1}"));
                    Assert.True(GoDuration.TryParse(text, out var read), text);
                    Assert.Equal(parts.Sum(part => part.Item1 * part.Item2.Item2), read.Ticks);
                },
                iter: Count, threads: 1);

    [Fact]
    public void Pages_give_each_tag_once_whatever_their_length_and_whatever_is_deleted_meanwhile() =>
        Gen.Select(Gen.String[Gen.Char["ab01.-_A"], 1, 3].Array[0, 40], Gen.Int[1, 12].Array[1, 5], Gen.Bool.Array[40, 40]).Sample(
            (names, counts, isDeleted) =>
            {
                string[] stored = [.. names.Distinct().Order(StringComparer.Ordinal)];
                HashSet<string> deleted = [];
                List<string> got = [];
                string? last = null;
                for (var (turn, more) = (0, true); more; turn++)
                {
                    var page = TagPages.Page([.. stored.Where(tag => !deleted.Contains(tag))], counts[turn % counts.Length], last);
                    got.AddRange(page.Tags);
                    (last, more) = (page.Tags is [.., var end] ? end : last, page.More);
                    // Also the last one of the page may go, by which the next page begins.
                    if (stored.Length > 0)
                        deleted.UnionWith(stored.Skip(turn % stored.Length).Take(5).Where((_, i) => isDeleted[(turn + i) % 40]));
                }
                Assert.Equal(got.Distinct().Order(StringComparer.Ordinal), got);
                Assert.Subset(got.ToHashSet(), stored.Where(tag => !deleted.Contains(tag)).ToHashSet());
            },
            iter: Count, threads: 1);

    [Fact]
    public void Names_have_a_lexical_order() =>
        Gen.Select(NamePart.Array[1, 3], NamePart.Array[1, 3]).Sample(
            (one, other) =>
            {
                var (left, right) = (RepositoryName.Parse(string.Join('/', one)), RepositoryName.Parse(string.Join('/', other)));
                var order = left.CompareTo(right);
                Assert.Equal(Math.Sign(order), -Math.Sign(right.CompareTo(left)));
                Assert.Equal(order == 0, left == right);
                // A repository comes before those below it.
                Assert.True(left < RepositoryName.Parse($"{left}/a"));
            },
            iter: Count, threads: 1);

    private static Gen<T> Any<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);
}
