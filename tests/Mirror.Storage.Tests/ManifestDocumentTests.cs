using System.Text;
using System.Text.Json;
using Xunit;

namespace Mirror.Storage.Tests;

/// <summary>What a manifest says, to a push (strictly) and to all others (leniently).</summary>
public sealed class ManifestDocumentTests
{
    private static readonly Digest A = Digest.Of("a"u8);
    private static readonly Digest B = Digest.Of("b"u8);

    [Theory]
    [InlineData("""{"mediaType":"x/y","config":{}}""", "x/y")]
    [InlineData("""{"config":{}}""", MediaTypes.OciManifest)]
    [InlineData("""{"layers":[]}""", MediaTypes.OciManifest)]
    [InlineData("""{"config":{},"manifests":null}""", MediaTypes.OciIndex)]
    [InlineData("""{"fsLayers":[]}""", MediaTypes.DockerSignedSchema1)]
    [InlineData("""{"schemaVersion":2}""", null)]
    [InlineData("""{"mediaType":5,"config":{}}""", null)]
    public void The_type_is_the_one_given_or_else_the_one_that_the_shape_implies(string json, string? type) =>
        Assert.Equal(type, Read(json)!.Type);

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("1")]
    [InlineData("{\"config\":{}")]
    [InlineData("<html>")]
    public void Bytes_that_are_no_object_are_no_manifest(string text) => Assert.Null(Read(text));

    [Fact]
    public void A_lenient_reading_finds_every_digest_that_any_client_could_see()
    {
        var document = Read($$"""
            {"fsLayers":[{"blobSum":"{{A}}"}],"layers":{"digest":"{{B}}","size":-1},
             "config":[null,{"digest":"md5:x"},{"digest":"{{A}}","size":7}],
             "layers":[{"digest":"\ud800"},{"digest":"{{A}}","urls":5,"mediaType":[]}],"blobs":5,"subject":{"digest":"{{B}}"} }
            """)!;
        Assert.Equal(["fsLayers", "layers", "config", "layers", "subject"], document.Entries.Select(entry => entry.Field));
        Assert.Equal([A, B, A, A], document.Blobs.Select(entry => entry.Digest));
        Assert.Equal([null, null, 7L, null], document.Blobs.Select(entry => entry.Size));
        Assert.Equal(B, document.Subject);
    }

    [Theory]
    [InlineData("layers", "{}", "'layers' is not a list")]
    [InlineData("config", "[]", "'config' holds something that is not a descriptor")]
    [InlineData("config", """{"size":1}""", "'config' holds a descriptor without a digest of a known algorithm")]
    [InlineData("schemaVersion", "\"2\"", "'schemaVersion' is not a whole number")]
    [InlineData("mediaType", "2", "'mediaType' is not text")]
    public void A_strict_reading_refuses_what_a_lenient_one_passes_over(string member, string json, string problem)
    {
        var text = $$"""{"{{member}}":{{json}}}""";
        Assert.False(ManifestDocument.TryParse(Encoding.UTF8.GetBytes(text), out _, out var said));
        Assert.Equal(problem, said);
        Assert.Empty(Read(text)!.Entries);
    }

    [Theory]
    [InlineData("""{"layers":[],"layers":[]}""", "'layers' occurs twice")]
    [InlineData("""{"layers":[],"Layers":[]}""", "'Layers' is 'layers' in another case")]
    [InlineData("""{"layer\u017f":[]}""", "'layer\u017f' is 'layers' in another case")]
    [InlineData("""{"l\u0041yers":[]}""", "'lAyers' is 'layers' in another case")]
    [InlineData("""{"mediatype":"a/b"}""", "'mediatype' is 'mediaType' in another case")]
    [InlineData("""{"config":{"digest":"D","digest":"D","size":1}}""", "'digest' occurs twice")]
    [InlineData("""{"layers":[{"digest":"D","size":1,"URLs":["http://a"]}]}""", "'URLs' is 'urls' in another case")]
    [InlineData("""{"manifests":[{"digest":"D","size":1,"platform":{"OS":"linux"}}]}""", "'OS' is 'os' in another case")]
    [InlineData("""{"subject":{"Digest":"D","digest":"D","size":1}}""", "'Digest' is 'digest' in another case")]
    [InlineData("""{"annotations":{"a":"1","a":"2"}}""", "'a' occurs twice")]
    [InlineData("""{"other":[{"x":{"y":1,"y":1}}]}""", "'y' occurs twice")]
    [InlineData("""{"layers":[],"manifests":[]}""", "it has both 'manifests' and 'layers'")]
    [InlineData("""{"config":{"digest":"D","size":1},"manifests":[]}""", "it has both 'manifests' and 'config'")]
    [InlineData("""{"annotations":{"a":"\ud800"}}""", "'a' is not valid Unicode")]
    [InlineData("""{"annotations":{"\ud800":""}}""", "the name of a member is not valid Unicode")]
    [InlineData("""{"other":["\udc00"]}""", "'other' is not valid Unicode")]
    [InlineData("""{"annotations":{"build":7}}""", "the annotation 'build' is not text")]
    [InlineData("""{"manifests":[{"digest":"D","size":1,"annotations":{"a":["b"]}}]}""", "the annotation 'a' is not text")]
    [InlineData("""{"annotations":"a"}""", "'annotations' is not an object")]
    public void What_clients_could_read_differently_is_refused_by_its_name(string json, string problem)
    {
        json = json.Replace("\"D\"", $"\"{A}\"", StringComparison.Ordinal);
        Assert.False(ManifestDocument.TryParse(Encoding.UTF8.GetBytes(json), out _, out var said));
        Assert.StartsWith(problem, said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"annotations":{"A":"1","a":"2","digest":"x","Digest":"y"}}""")]
    [InlineData("""{"other":{"Layers":1,"layers":2},"layers":[],"manifests":null}""")]
    [InlineData("""{"layers":[{"digest":"D","size":1,"annotations":{"Size":"1","size":"2"},"x":"\ud83d\ude00"}]}""")]
    public void What_means_the_same_to_all_is_accepted(string json) => Assert.True(ManifestDocument.TryParse(
        Encoding.UTF8.GetBytes(json.Replace("\"D\"", $"\"{A}\"", StringComparison.Ordinal)), out _, out _));

    [Theory]
    [InlineData("""{"layers":[{"digest":"A"}],"layers":[{"digest":"B"}]}""")]
    [InlineData("""{"Layers":[{"digest":"A"}],"LAYERS":[{"DIGEST":"B"}]}""")]
    [InlineData("""{"layers":[{"digest":"A","digest":"B"}]}""")]
    [InlineData("""{"layer\u017f":[{"digest":"A","Digest":"B"}]}""")]
    [InlineData("""{"\ud800":1,"layers":[{"\ud800":"\ud800","digest":"A"},{"digest":"B","mediaType":"\ud800"}]}""")]
    [InlineData("""{"annotations":DEEP,"l\u0061yers":[{"digest":"A"},{"x":DEEP,"digest":"B"}]}""")]
    public void Every_digest_that_some_reader_could_see_counts_in_a_stored_manifest(string json)
    {
        json = json.Replace("\"A\"", $"\"{A}\"", StringComparison.Ordinal).Replace("\"B\"", $"\"{B}\"", StringComparison.Ordinal)
            .Replace("DEEP", new string('[', 5000) + new string(']', 5000), StringComparison.Ordinal);
        Assert.Equal([A, B], Read(json)!.Blobs.Select(blob => blob.Digest).Distinct());
    }

    [Fact]
    public void A_referrer_with_half_a_surrogate_pair_is_described_as_it_is()
    {
        var text = $$"""{"annotations":{"a":"\ud800"},"subject":{"digest":"{{A}}"},"Subject":{"digest":"{{B}}"} }""";
        var document = Read(text)!;
        Assert.Equal([A, B], document.Subjects);
        var descriptor = document.DescriptorAsReferrer(new Descriptor("a/b", Digest.Of(Encoding.UTF8.GetBytes(text)), text.Length));
        Assert.Contains("\"annotations\":{\"a\":\"\\ud800\"}", Encoding.UTF8.GetString(descriptor), StringComparison.Ordinal);
        Assert.Null(ManifestDocument.ArtifactTypeOf("""{"\ud800":1,"artifactType":"\ud800"}"""u8.ToArray()));
        Assert.Single(ManifestDocument.DescriptorsIn("""{"\ud800":1,"manifests":[{"\ud800":1}]}"""u8.ToArray()));
    }

    [Fact]
    public void The_descriptors_of_an_index_of_referrers_stay_byte_for_byte()
    {
        const string first = """{"digest": "x", "artifactType":"a/b"}""";
        var descriptors = ManifestDocument.DescriptorsIn(Encoding.UTF8.GetBytes($$"""{"manifests":[{{first}}, {}]}"""));
        Assert.Equal([first, "{}"], descriptors.Select(descriptor => Encoding.UTF8.GetString(descriptor.Span)));
        Assert.Equal(["a/b", null], descriptors.Select(ManifestDocument.ArtifactTypeOf));
        Assert.Empty(ManifestDocument.DescriptorsIn("""{"manifests":null}"""u8.ToArray()));
        Assert.Throws<JsonException>(() => ManifestDocument.DescriptorsIn("{}"u8.ToArray()));
    }

    private static ManifestDocument? Read(string json) => ManifestDocument.Read(Encoding.UTF8.GetBytes(json));
}
